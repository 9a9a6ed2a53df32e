"""A real SMTP server that prints what it is sent: one JSON object a line, after a line with its port.

With the argument `refuse N`, it turns the first N mails away for now.
"""

import asyncio
import email
import email.policy
import json
import sys

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
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


async def main():
    refusals = int(sys.argv[2]) if sys.argv[1:2] == ["refuse"] else 0
    printer = Printer(refusals)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(printer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the test that started it: that closes standard input.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
