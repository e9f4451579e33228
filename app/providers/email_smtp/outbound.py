"""Sending by SMTP.

In: an action's checked arguments. Out: a receipt: ``message_id``, ``status``, who was ``refused``,
the server's ``reply``. Refuses as `failures` sorts it. A server that goes away in the middle of a
mail may have taken it (`email.maybe_sent`); when the step is repeated it gets the mail again, under
the same Message-ID.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiosmtplib.errors import SMTPException
from aiosmtplib.response import SMTPResponse

from actors.ports import Clock
from app.providers.email.address import Address
from app.providers.email.arguments import MailArguments, SendArguments, SendTemplateArguments
from app.providers.email_smtp.failures import failure_of, is_transient, maybe_sent, one_line
from app.providers.email_smtp.message import Body, Message, Origin, build_message
from app.providers.email_smtp.pool import SmtpPool
from app.providers.email_smtp.server import MailServer
from app.providers.email_smtp.templates import LocalTemplates
from app.providers.provider import ActionCall


class SmtpSender:
    """Performs `send` and `send_template`."""

    def __init__(
        self,
        server: MailServer,
        sender: Address,
        templates: LocalTemplates,
        clock: Clock,
        *,
        connections: int,
    ) -> None:
        self._server = server
        self._sender = sender
        self._templates = templates
        self._clock = clock
        self.pool = SmtpPool(server, connections, clock)

    async def perform(self, call: ActionCall) -> Mapping[str, Any]:
        """Hand one mail over; the receipt says that the server took it, not that it arrived."""
        arguments, body = self._read(call)
        origin = Origin(self._sender, call.tenant, call.idempotency_key, self._clock.now_ms())
        is_speaking = False
        try:
            async with asyncio.timeout(call.timeout_seconds):
                # Twenty MB of attachments take a tenth of a second to write down.
                message = await asyncio.to_thread(build_message, arguments, body, origin)
                async with self.pool.connection() as client:
                    is_speaking = True
                    refused, reply = await client.sendmail(
                        message.sender, message.recipients, message.content
                    )
        except (SMTPException, OSError) as error:
            failure = failure_of(error, self._server.address)
            raise (maybe_sent(failure) if is_speaking else failure) from None
        return _receipt(message, refused, reply)

    async def check(self) -> Sequence[str]:
        """Connect, log in and ask for an answer; gives what is wrong."""
        try:
            async with asyncio.timeout(self._server.timeout_seconds):
                async with self.pool.connection() as client:
                    await client.noop()
        except (SMTPException, OSError) as error:
            return (str(failure_of(error, self._server.address)),)
        return ()

    async def close(self) -> None:
        """Close the connections."""
        await self.pool.close()

    def _read(self, call: ActionCall) -> tuple[MailArguments, Body]:
        arguments = call.arguments
        if isinstance(arguments, SendArguments):
            return arguments, Body(arguments.subject, arguments.content, arguments.html)
        if not isinstance(arguments, SendTemplateArguments):
            raise TypeError(f"{type(arguments).__name__} are no arguments of an action")
        text, html = self._templates.render(arguments.template_id, arguments.dynamic_data)
        return arguments, Body(arguments.subject or "", text, html)


def _receipt(message: Message, refused: Mapping[str, SMTPResponse], reply: str) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "status": "accepted",
        "accepted": len(message.recipients) - len(refused),
        "refused": [
            {
                "email": email,
                "code": response.code,
                "message": one_line(response.message),
                "is_transient": is_transient(response.code),
            }
            for email, response in refused.items()
        ],
        "reply": one_line(reply),
    }
