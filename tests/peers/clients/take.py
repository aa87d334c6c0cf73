"""An upstream: aiosmtpd. Writes each message to a file of the given folder, as it came.

usage: take.py FOLDER CERTIFICATE KEY MODE

MODE is plain, starttls (required) or login (STARTTLS, then a login). The port is written to FOLDER/port once it
listens. A message is a file N.eml with the content and a file N.envelope, complete when it is there, with the
reverse-path and the recipients, a line each.
"""

import asyncio
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER = b"relay@upstream.example"
PASSWORD = b"an upstream's password"


class Handler:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        base = os.path.join(self.folder, str(self.count))
        with open(base + ".eml", "wb") as file:
            file.write(envelope.original_content)
        with open(base + ".part", "w", encoding="utf-8") as file:
            file.write("\n".join([envelope.mail_from or "", *envelope.rcpt_tos]) + "\n")
        os.rename(base + ".part", base + ".envelope")
        return "250 2.0.0 kept"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=good)


async def main(folder, certificate, key, mode):
    handler = Handler(folder)
    options = {"hostname": "aiosmtpd.example", "enable_SMTPUTF8": True}
    if mode != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        options |= {"tls_context": context, "require_starttls": True}
    if mode == "login":
        options |= {"authenticator": authenticate, "auth_required": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop, **options), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    part = os.path.join(folder, "port.part")
    with open(part, "w", encoding="ascii") as file:
        file.write(str(port))
    os.rename(part, os.path.join(folder, "port"))
    # The test ends the process; this ends it where the test cannot any more.
    await asyncio.sleep(300)


asyncio.run(main(*sys.argv[1:]))
