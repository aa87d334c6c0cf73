"""Submits one message with smtplib and writes down every octet that it wrote.

Settings come from the environment: PEER_HOST, PEER_PORT, PEER_TLS (starttls, implicit), PEER_AUTH (PLAIN, LOGIN),
PEER_USER, PEER_PASSWORD, PEER_AUTHORITY (PEM), PEER_WRITTEN (where the octets go).
"""

import os
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

written = bytearray()


class Recording:
    """Keeps what is sent, before it is encrypted."""

    def send(self, octets):
        data = octets if isinstance(octets, bytes) else octets.encode(self.command_encoding)
        written.extend(data)
        super().send(data)


class Plain(Recording, smtplib.SMTP):
    pass


class Implicit(Recording, smtplib.SMTP_SSL):
    pass


def compose():
    message = EmailMessage()
    message["From"] = "Zoë Absender <shop@sender.example>"
    message["To"] = "Erste <first@recipient.example>, second@recipient.example"
    message["Cc"] = "third@recipient.example"
    message["Bcc"] = "hidden@recipient.example"
    message["Subject"] = "Grüße aus Zürich ✉ von smtplib"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="sender.example")
    message.set_content("Grüße.\n.ein Punkt am Anfang\n..zwei Punkte\n.\nEnde\n")
    message.add_attachment(
        bytes(range(256)) * 40,
        maintype="application",
        subtype="octet-stream",
        filename="Anhang ä.bin",
    )
    return message


def main():
    environment = os.environ
    host, port = environment["PEER_HOST"], int(environment["PEER_PORT"])
    context = ssl.create_default_context(cafile=environment["PEER_AUTHORITY"])
    if environment["PEER_TLS"] == "implicit":
        client = Implicit(host, port, timeout=30, context=context)
    else:
        client = Plain(host, port, timeout=30)
        client.starttls(context=context)
    with client:
        client.ehlo_or_helo_if_needed()
        client.user = environment["PEER_USER"]
        client.password = environment["PEER_PASSWORD"]
        mechanism = environment["PEER_AUTH"]
        client.auth(mechanism, getattr(client, "auth_" + mechanism.lower()))
        message = compose()
        recipients = [
            "first@recipient.example",
            "second@recipient.example",
            "third@recipient.example",
            "hidden@recipient.example",
        ]
        # `send_message` would remove Bcc itself; here the relay has to.
        client.sendmail("shop@sender.example", recipients, message.as_bytes(policy=SMTP))
    with open(environment["PEER_WRITTEN"], "wb") as file:
        file.write(written)


main()
