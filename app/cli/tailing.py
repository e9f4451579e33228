"""Listens to a tenant's events on the bus and prints each as it comes, and results.

In: where, whose and which. Out: lines, and how many. Refuses patterns that NATS or SPEC 4 would not
take. A filter chooses events; results are shown of the events that were.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from actors.errors import ActorsError
from actors.subjects import EVENTS_ROOT, check_pattern, check_token, parse_event_subject
from app.bus.codec import decode_json
from app.bus.connection import BusSettings
from app.bus.wire import Received
from app.cli.event_filter import EventFilter, Where
from app.cli.listening import Enough, listen
from app.cli.output import printable, shortened, warn

LINE_CHARS_MAX: Final = 2000
SHOWN_MAX: Final = 10_000
"""Events that were shown and are remembered for their results."""
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


async def tail_events(
    settings: BusSettings,
    request: TailRequest,
    wanted: EventFilter | None = None,
    *,
    as_json: bool,
) -> int:
    """Print until the count or the time is reached; give how many were printed."""
    subjects = list(request.subjects())
    wanted = wanted or EventFilter(Where(request.env, request.tenant))
    lines = EventLines(request, wanted, as_json=as_json)
    try:
        enough = Enough(request.count_max, request.timeout_seconds)
        return await listen(settings, subjects, lines.of, enough)
    finally:
        lines.tell_unanswered()


class EventLines:
    """Gives the lines of messages: `app.cli.listening.Lines`."""

    def __init__(self, request: TailRequest, wanted: EventFilter, *, as_json: bool) -> None:
        self._request = request
        self._wanted = wanted
        self._as_json = as_json
        self._shown: OrderedDict[str, None] = OrderedDict()
        self._is_fault_told = False

    def of(self, message: Received) -> Iterator[Text | dict[str, Any]]:
        """Give the line of a message, if it was asked for."""
        try:
            subject = parse_event_subject(message.subject)
            document: Any = decode_json(message.data, "message")
        except ActorsError as error:
            warn(printable(f"{message.subject}: {error}"), style="yellow")
            return
        is_wanted = self._is_result_wanted if subject.is_result else self._is_event_wanted
        if not is_wanted(document):
            return
        kind = "result" if subject.is_result else "event"
        if self._as_json:
            yield {"kind": kind, "event_type": subject.event_type, kind: document}
        else:
            yield _line(kind, subject.event_type, document)

    def tell_unanswered(self) -> None:
        """Say for how many events the condition could not be answered."""
        if self._wanted.unanswered > 1:
            warn(f"{self._wanted.unanswered} events were left out so", style="yellow")

    def _is_event_wanted(self, document: Any) -> bool:
        if not self._wanted.wants(document):
            self._tell_fault()
            return False
        if self._request.with_results and self._wanted.is_set:
            self._shown[str(document["id"])] = None
            if len(self._shown) > SHOWN_MAX:
                self._shown.popitem(last=False)
        return True

    def _is_result_wanted(self, document: Any) -> bool:
        if not self._request.with_results:
            return False
        if not self._wanted.is_set:
            return True
        return isinstance(document, dict) and document.get("event_id") in self._shown

    def _tell_fault(self) -> None:
        fault = self._wanted.first_fault
        if fault is not None and not self._is_fault_told:
            self._is_fault_told = True
            warn(
                printable(f"--where has no answer for an event, which is left out: {fault}"),
                style="yellow",
            )


def _line(kind: str, event_type: str, document: Any) -> Text:
    shown = document if isinstance(document, dict) else {}
    text = Text()
    if kind == "event":
        text.append("event  ", style="bold cyan")
        text.append(printable(f"{event_type} {shown.get('id', '?')} "))
        text.append(_compact(shown.get("payload")), style="dim")
        return text
    status = str(shown.get("status", "?"))
    text.append("result ", style="bold green" if status == "completed" else "bold red")
    told = f"{event_type} {shown.get('event_id', '?')} {shown.get('flow', '?')} {status} "
    text.append(printable(told))
    text.append(_compact(shown.get("error") or shown.get("output")), style="dim")
    return text


def _compact(value: Any) -> str:
    return shortened(printable(json.dumps(value, ensure_ascii=False)), LINE_CHARS_MAX)
