"""Status callbacks of emulated messages, in the background and bounded.

In: a message that was taken. Out: signed posts to our status route, one for each status it passes,
and a note of each in the outbox. As with Twilio there is none for the status a message begins with.
Refuses nothing: with too many under way, or for a URL that is not ours, the note says so.

Source: twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actors.ports import Clock
from app.emulators.ingress_client import IngressClient
from app.emulators.outbox import Outbox
from app.emulators.twilio_rules import Message, fate_of

REPORTS_MAX: Final = 200
"""Messages whose callbacks are under way at once."""
STEP_SECONDS: Final = 0.2
"""Between two statuses."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Whose statuses are reported: the message, its id, and the account that sends it."""

    sid: str
    account_sid: str
    auth_token: str
    message: Message


class StatusReports:
    """Sends callbacks until it is closed."""

    def __init__(self, ingress: IngressClient, outbox: Outbox, clock: Clock) -> None:
        self._ingress = ingress
        self._outbox = outbox
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, reported: Reported) -> None:
        """Begin to report a message's statuses, if it asked for that."""
        callback = reported.message.callback
        if callback is None:
            return
        target = self._ingress.target_of(callback)
        if target is None:
            self._outbox.note(reported.sid, "no callbacks: the URL is none of our routes")
        elif len(self._tasks) >= REPORTS_MAX:
            self._outbox.note(reported.sid, "no callbacks: too many messages are under way")
        else:
            task = asyncio.get_running_loop().create_task(self._report(reported, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop; callbacks that were not sent never will be."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _report(self, reported: Reported, target: str) -> None:
        for status, code in statuses_of(reported.message):
            await self._clock.sleep(STEP_SECONDS)
            fields = _fields(reported, status, code)
            answer = await self._ingress.post_twilio(target, fields, reported.auth_token)
            outcome = answer.body if answer.status == 0 else f"answered {answer.status}"
            self._outbox.note(reported.sid, f"{status}: {outcome}")


def statuses_of(message: Message) -> Sequence[tuple[str, int | None]]:
    """Give the statuses that are reported, in order, with the error code of a failure."""
    last, code = fate_of(message.to)
    passed = [] if message.service is None else ["queued"]
    if last != "failed":
        passed.append("sent")
    return [*((status, None) for status in passed), (last, code)]


def _fields(reported: Reported, status: str, code: int | None) -> list[tuple[str, str]]:
    message = reported.message
    fields = [
        ("SmsSid", reported.sid),
        ("SmsStatus", status),
        ("MessageStatus", status),
        ("To", message.to),
        ("MessageSid", reported.sid),
        ("AccountSid", reported.account_sid),
        ("From", message.sender or ""),
        ("ApiVersion", "2010-04-01"),
    ]
    if message.service is not None:
        fields.append(("MessagingServiceSid", message.service))
    if code is not None:
        fields.append(("ErrorCode", str(code)))
    return fields
