"""A real SMTP server that prints what it is sent: one JSON object a line, after a line with its port.

It is called in one of three ways:

    smtp.py refuse N      turns the first N mails away for now
    smtp.py starttls CA   takes mail only after STARTTLS
    smtp.py tls CA        speaks TLS from the first byte

For TLS it makes an authority of its own, which signs a certificate for `localhost` and 127.0.0.1. The authority's
certificate is written to the file CA before the port is told.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

import trustme
from aiosmtpd.smtp import SMTP


class Printer:
    def __init__(self, refusals):
        self.refusals = refusals

    async def handle_DATA(self, server, session, envelope):
        if self.refusals > 0:
            self.refusals -= 1
            return "451 4.3.0 try again later"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: message.get_body(preferencelist=(kind,)).get_content()
        mail = {
            "to": envelope.rcpt_tos,
            "from": message["From"],
            "subject": message["Subject"],
            "text": part("plain"),
            "html": part("html"),
            # There is a cipher only after a handshake, whichever way it came about.
            "tls": server.transport.get_extra_info("cipher") is not None,
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


def certified(ca_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def main(mode, value):
    printer = Printer(int(value) if mode == "refuse" else 0)
    from_the_start = certified(value) if mode == "tls" else None
    on_demand = certified(value) if mode == "starttls" else None
    smtp = lambda: SMTP(printer, tls_context=on_demand, require_starttls=on_demand is not None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=from_the_start)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the test that started it: that closes standard input.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
