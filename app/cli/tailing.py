"""Listens to a tenant's events on the bus and prints each as it comes.

In: where, whose and which. Out: lines, and how many were seen. Refuses patterns that NATS or SPEC 4
would not take. It only listens: nothing is acknowledged, no consumer is made.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from actors.errors import ActorsError
from actors.subjects import EVENTS_ROOT, check_pattern, check_token, parse_event_subject
from app.bus.codec import decode_json
from app.bus.connection import BusSettings
from app.bus.wire import Received
from app.cli.connecting import connected
from app.cli.output import print_json, say, warn

PENDING_MAX: Final = 10_000
"""Messages that wait to be printed; a terminal slower than that loses the newest, and is told."""
LINE_CHARS_MAX: Final = 2000
_REST: Final = ">"


@dataclass(frozen=True, slots=True)
class TailRequest:
    """What to listen to. ``count_max`` and ``timeout_seconds`` 0 mean without end."""

    env: str
    tenant: str
    pattern: str
    with_results: bool
    count_max: int = 0
    timeout_seconds: float = 0

    def subjects(self) -> Iterator[str]:
        """Give the subjects that together carry what was asked for, without overlap."""
        root = f"{EVENTS_ROOT}.{check_token(self.env, 'env')}.{check_token(self.tenant, 'tenant')}"
        check_pattern(self.pattern)
        yield f"{root}.{self.pattern}"
        if self.with_results and not self.pattern.endswith(_REST):
            yield f"{root}.{self.pattern}.result"


async def tail_events(settings: BusSettings, request: TailRequest, *, as_json: bool) -> int:
    """Print until the count or the time is reached; give how many were printed."""
    subjects = list(request.subjects())
    pending: asyncio.Queue[Received] = asyncio.Queue(PENDING_MAX)
    lost = 0

    def take(message: Received) -> None:
        nonlocal lost
        try:
            pending.put_nowait(message)
        except asyncio.QueueFull:
            lost += 1

    seen = 0
    async with connected(settings) as bus:
        for subject in subjects:
            await bus.subscribe(subject, take)
        await bus.flush(2.0)
        warn(f"listening to {', '.join(subjects)}", style="dim")
        with suppress(TimeoutError):
            async with asyncio.timeout(request.timeout_seconds or None):
                while not request.count_max or seen < request.count_max:
                    seen += _show(await pending.get(), request, as_json=as_json)
    if lost:
        warn(f"{lost} came faster than they could be shown", style="yellow")
    return seen


def _show(message: Received, request: TailRequest, *, as_json: bool) -> bool:
    """Print one message if it was asked for; tell whether it was."""
    try:
        subject = parse_event_subject(message.subject)
        document: Any = decode_json(message.data, "message")
    except ActorsError as error:
        warn(f"{message.subject}: {error}", style="yellow")
        return False
    if subject.is_result and not request.with_results:
        return False
    kind = "result" if subject.is_result else "event"
    if as_json:
        line = {"kind": kind, "event_type": subject.event_type, kind: document}
        print_json(line, indent=None)
    else:
        say(_line(kind, subject.event_type, document))
    return True


def _line(kind: str, event_type: str, document: Any) -> Text:
    shown = document if isinstance(document, dict) else {}
    text = Text()
    if kind == "event":
        text.append("event  ", style="bold cyan")
        text.append(f"{event_type} {shown.get('id', '?')} ")
        text.append(_compact(shown.get("payload")), style="dim")
        return text
    status = str(shown.get("status", "?"))
    text.append("result ", style="bold green" if status == "completed" else "bold red")
    text.append(f"{event_type} {shown.get('event_id', '?')} {shown.get('flow', '?')} {status} ")
    text.append(_compact(shown.get("error") or shown.get("output")), style="dim")
    return text


def _compact(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    printable = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text
    )
    return printable if len(printable) <= LINE_CHARS_MAX else printable[:LINE_CHARS_MAX] + "…"
