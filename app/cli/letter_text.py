"""Dead letters as people read them on a terminal.

In: letters, counts, reports. Out: lines. Control characters in them are replaced: letters carry
text that strangers sent.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from actors.ports import DeadLetter
from app.bus.dead_letters import DecodedLetter
from app.dead_letters.letters import KeptLetter, LetterCounts, Report

MESSAGE_CHARS_MAX: Final = 160
PAYLOAD_CHARS_MAX: Final = 20_000
RAW_CHARS_MAX: Final = 2000
_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"


def summary_line(kept: KeptLetter) -> Text:
    """Give a letter on one line and its error on a second one."""
    summary = kept.as_summary()
    line = Text()
    line.append(_time(kept.failed_ms))
    line.append(f"  {printable(kept.id)}", style="bold")
    line.append(f"  {printable(summary.get('flow') or '-')}")
    line.append(f"  {printable(kept.reason)}", style="red")
    event = f"{summary.get('event_type') or 'no event'} {summary.get('event_id') or ''}".strip()
    line.append(f"  {printable(event)}")
    error = summary.get("error")
    said = summary["damage"] if error is None else error["message"]
    where = "" if error is None or error["node"] is None else f"at {error['node']}: "
    line.append(f"\n    {_cut(printable(where + str(said)), MESSAGE_CHARS_MAX)}", style="dim")
    return line


def letter_lines(kept: KeptLetter) -> Iterator[str]:
    """Give all of a letter, field by field."""
    yield f"letter    {printable(kept.id)}, place {kept.sequence}"
    yield f"reason    {printable(kept.reason)}"
    if kept.decoded is None:
        yield f"damage    {printable(str(kept.damage))}"
        return
    letter = kept.decoded.letter
    at = f" at {letter.error.node}" if letter.error.node else ""
    yield f"error     {printable(letter.error.code + at)}: {printable(letter.error.message)}"
    yield f"failed    {_time(kept.failed_ms)}, attempt {letter.attempts}"
    yield from _run_lines(letter)
    yield f"replay    {'can be replayed' if kept.can_redrive else 'cannot be replayed'}"
    yield from _content_lines(kept.decoded)


def _run_lines(letter: DeadLetter) -> Iterator[str]:
    if letter.flow is not None:
        trigger = f", trigger {letter.trigger}" if letter.trigger is not None else ""
        yield f"flow      {printable(letter.flow)} {printable(letter.flow_version or '')}{trigger}"
    if letter.parent_run_id is not None:
        yield f"parent    {printable(letter.parent_run_id)}"
    if letter.path:
        yield f"path      {printable(' > '.join(letter.path))}"


def _content_lines(decoded: DecodedLetter) -> Iterator[str]:
    letter = decoded.letter
    if letter.event is not None:
        yield f"event     {_indented(letter.event.as_mapping())}"
    elif decoded.event_id is not None:
        yield f"event     {printable(decoded.event_id)}, which was too large to keep"
    for event in letter.events[1:]:
        yield f"and       {_indented(event.as_mapping())}"
    if letter.subject is not None:
        yield f"subject   {printable(letter.subject)}"
    if letter.raw is not None:
        text = base64.b64encode(letter.raw).decode()
        yield f"raw       {decoded.raw_bytes} bytes, base64: {_cut(text, RAW_CHARS_MAX)}"


def count_lines(counts: LetterCounts) -> Iterator[str]:
    """Give the numbers, the largest first."""
    ranked = sorted(counts.by_flow_and_reason.items(), key=lambda each: (-each[1], str(each[0])))
    for (flow, reason), number in ranked:
        yield f"{number:>8}  {printable(flow or '-')}  {printable(reason)}"
    yield f"{counts.total:>8}  in all"
    if not counts.is_complete:
        yield "there are more than were looked at: only the number in all is whole"


def report_lines(report: Report, verb: str) -> Iterator[str]:
    """Give what was done, and what was not."""
    would = "would be " if report.is_dry_run else ""
    yield f"{report.done} of {report.chosen} letters {would}{verb}"
    if report.not_redrivable:
        yield f"{report.not_redrivable} cannot be replayed: they have no event or no flow"
    if report.failed:
        yield f"{report.failed} failed:"
        for letter_id, why in report.failures.items():
            yield f"  {printable(letter_id)}: {printable(why)}"
    if report.has_more:
        yield "there are more: run it again, or with --all"
    if report.stopped is not None:
        yield f"it stopped early: {printable(report.stopped)}"


def printable(text: str) -> str:
    """Replace what could move the cursor or colour the terminal."""
    return "".join(char if char.isprintable() else _UNPRINTABLE for char in text)


def _indented(value: Any) -> str:
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    return _cut("\n          ".join(map(printable, lines)), PAYLOAD_CHARS_MAX)


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[:chars_max] + "…"


def _time(instant_ms: int) -> str:
    return f"{datetime.fromtimestamp(instant_ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
