"""Sets an account up as mail programs do: finds the settings, judges them, logs in with them and sends a message.

Arguments: thunderbird or outlook, the base address of the web server, the mail address, the password. Prints what it
has found. Where settings break a rule of the program, it says which and fails.

The rules of Thunderbird are those of its reader of clientConfig 1.1 (one domain at least, one incoming and one outgoing
server, known types, socket types and ways to log in; unknown values are passed over, the first that is known counts);
those of Outlook are MS-OXDSCLI (namespaces, the order of elements does not count).
"""

import os
import re
import smtplib
import ssl
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

XML_TYPES = {"text/xml", "application/xml", "text/rdf"}
HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
SOCKET_TYPES = {"plain", "SSL", "STARTTLS"}
WAYS_TO_LOG_IN = {
    "password-cleartext", "plain", "password-encrypted", "secure", "GSSAPI", "NTLM", "OAuth2", "none",
    "client-IP-address",
}
REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
ANSWER = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
SETTINGS = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"


class Unusable(Exception):
    pass


@dataclass
class Server:
    kind: str
    hostname: str
    port: int
    tls: str
    username: str


def fetch(url, content=None):
    headers = {} if content is None else {"Content-Type": "text/xml; charset=utf-8"}
    request = urllib.request.Request(url, data=content, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        kind = answer.headers.get_content_type()
        if kind not in XML_TYPES:
            raise Unusable(f"{url} is {kind}")
        return ElementTree.fromstring(answer.read())


def text_of(element, name):
    found = element.findtext(name)
    if found is None or not found.strip():
        raise Unusable(f"{element.tag} has no {name}")
    return found.strip()


def hostname_of(text):
    if not HOSTNAME.fullmatch(text.lower()):
        raise Unusable(f"{text} is no host name")
    return text.lower()


def port_of(text):
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise Unusable(f"{text} is no port")
    return int(text)


def first_known(element, name, known):
    for found in element.findall(name):
        if (found.text or "").strip() in known:
            return found.text.strip()
    raise Unusable(f"{element.tag} has no {name} that is known")


def filled_in(text, address):
    local_part, _, domain = address.rpartition("@")
    values = {"EMAILADDRESS": address, "EMAILLOCALPART": local_part, "EMAILDOMAIN": domain}
    text = re.sub(r"%([A-Z]+)%", lambda found: values.get(found[1], found[0]), text)
    if "%" in text:
        raise Unusable(f"{text} has an unknown placeholder")
    return text


def server_of_thunderbird(element, kinds, address):
    kind = element.get("type")
    if kind not in kinds:
        raise Unusable(f"{element.tag} is {kind}")
    tls = first_known(element, "socketType", SOCKET_TYPES)
    way = first_known(element, "authentication", WAYS_TO_LOG_IN)
    if tls == "plain" and way in ("password-cleartext", "plain"):
        raise Unusable("Thunderbird warns of a password in plain text")
    return Server(
        kind, hostname_of(filled_in(text_of(element, "hostname"), address)), port_of(text_of(element, "port")), tls,
        filled_in(text_of(element, "username"), address),
    )


def read_client_config(root, address):
    if root.tag != "clientConfig" or root.get("version") != "1.1":
        raise Unusable(f"this is {root.tag} {root.get('version')}")
    provider = root.find("emailProvider")
    if provider is None:
        raise Unusable("there is no emailProvider")
    hostname_of(provider.get("id", ""))
    domains = [hostname_of((domain.text or "").strip()) for domain in provider.findall("domain")]
    asked = address.rpartition("@")[2].encode("idna").decode()
    if asked not in domains:
        raise Unusable(f"{asked} is not among {domains}")
    text_of(provider, "displayName")
    text_of(provider, "displayShortName")
    incoming = provider.findall("incomingServer")
    outgoing = provider.findall("outgoingServer")
    incoming = [server_of_thunderbird(element, {"imap", "pop3"}, address) for element in incoming]
    outgoing = [server_of_thunderbird(element, {"smtp"}, address) for element in outgoing]
    if not incoming or not outgoing:
        raise Unusable("an account needs a server of each kind")
    return incoming + outgoing


def thunderbird(base, address):
    """Looks at both places in Thunderbird's order; each must do."""
    domain = address.rpartition("@")[2]
    told = urllib.parse.quote(address, safe="")
    places = (f"/mail/config-v1.1.xml?emailaddress={told}", "/.well-known/autoconfig/mail/config-v1.1.xml")
    first, second = (fetch(base + place) for place in places)
    servers = read_client_config(first, address)
    # The second is asked without an address at first; its servers must be the same.
    elements = second.iter("outgoingServer")
    if [server_of_thunderbird(element, {"smtp"}, address) for element in elements] != servers[1:]:
        raise Unusable(f"the two places for {domain} differ")
    return servers


def outlook(base, address):
    request = ElementTree.Element("Autodiscover", xmlns=REQUEST)
    asked = ElementTree.SubElement(request, "Request")
    ElementTree.SubElement(asked, "EMailAddress").text = address
    ElementTree.SubElement(asked, "AcceptableResponseSchema").text = SETTINGS.strip("{}")
    content = ElementTree.tostring(request, encoding="utf-8", xml_declaration=True)
    root = fetch(base + "/autodiscover/autodiscover.xml", content)
    if root.tag != ANSWER + "Autodiscover":
        raise Unusable(f"this is {root.tag}")
    account = root.find(f"{SETTINGS}Response/{SETTINGS}Account")
    if account is None:
        raise Unusable("there is no account")
    for name, value in (("AccountType", "email"), ("Action", "settings")):
        if account.findtext(SETTINGS + name) != value:
            raise Unusable(f"{name} is {account.findtext(SETTINGS + name)}")
    servers = []
    for protocol in account.findall(SETTINGS + "Protocol"):
        told = {element.tag.removeprefix(SETTINGS): (element.text or "").strip() for element in protocol}
        if told["Type"] not in ("IMAP", "POP3", "SMTP"):
            raise Unusable(f"the protocol is {told['Type']}")
        if any(told[name] not in ("on", "off") for name in ("SSL", "SPA", "AuthRequired", "DomainRequired")):
            raise Unusable(f"neither on nor off: {told}")
        # Encryption is stronger than SSL; SPA would be NTLM.
        tls = {"SSL": "SSL", "TLS": "STARTTLS"}.get(told["Encryption"])
        if tls is None or told["SPA"] == "on" or told["AuthRequired"] == "off":
            raise Unusable(f"no login with TLS: {told}")
        server = told["Type"].lower(), hostname_of(told["Server"]), port_of(told["Port"]), tls, told["LoginName"]
        servers.append(Server(*server))
    return servers


def send(server, address, password):
    """Uses what was found. All names of the settings lead to this machine here, and its certificate is for localhost."""
    context = ssl.create_default_context(cafile=os.environ["PEER_AUTHORITY"])
    if server.tls == "SSL":
        client = smtplib.SMTP_SSL("localhost", server.port, timeout=30, context=context)
    else:
        client = smtplib.SMTP("localhost", server.port, timeout=30)
        client.starttls(context=context)
    with client:
        client.login(server.username, password)
        client.sendmail(
            address, ["first@recipient.example"], f"From: <{address}>\r\nSubject: {server.tls}\r\n\r\nHello.\r\n"
        )


def main():
    program, base, address, password = sys.argv[1:]
    servers = {"thunderbird": thunderbird, "outlook": outlook}[program](base, address)
    for server in servers:
        print(server)
        if server.kind == "smtp":
            send(server, address, password)


main()
