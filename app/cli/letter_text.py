"""Dead letters as people read them on a terminal.

In: documents of letters, counts, reports. Out: lines. Control characters in them are replaced:
letters carry text that strangers sent.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from app.cli.output import printable, shortened
from app.dead_letters.letters import LetterCounts, Report

MESSAGE_CHARS_MAX: Final = 160
PAYLOAD_CHARS_MAX: Final = 20_000
RAW_CHARS_MAX: Final = 2000


def summary_line(letter: Mapping[str, Any]) -> Text:
    """Give a letter's summary on one line and its error on a second one."""
    line = Text()
    line.append(_time(letter["failed_ms"]))
    line.append(f"  {printable(letter['letter_id'])}", style="bold")
    line.append(f"  {printable(letter.get('flow') or '-')}")
    line.append(f"  {printable(letter['reason'])}", style="red")
    event = f"{letter.get('event_type') or 'no event'} {letter.get('event_id') or ''}".strip()
    line.append(f"  {printable(event)}")
    error = letter.get("error")
    said = letter["damage"] if error is None else error["message"]
    where = "" if error is None or error["node"] is None else f"at {error['node']}: "
    line.append(f"\n    {shortened(printable(where + str(said)), MESSAGE_CHARS_MAX)}", style="dim")
    return line


def letter_lines(letter: Mapping[str, Any]) -> Iterator[str]:
    """Give all of a letter's document, field by field."""
    yield f"letter    {printable(letter['letter_id'])}, place {letter['sequence']}"
    yield f"reason    {printable(letter['reason'])}"
    error = letter.get("error")
    if error is None:
        yield f"damage    {printable(str(letter['damage']))}"
        return
    at = f" at {error['node']}" if error["node"] else ""
    yield f"error     {printable(error['code'] + at)}: {printable(error['message'])}"
    yield f"failed    {_time(letter['failed_ms'])}, attempt {letter['attempts']}"
    yield from _run_lines(letter)
    yield f"replay    {'can be replayed' if letter['can_redrive'] else 'cannot be replayed'}"
    yield from _content_lines(letter)


def _run_lines(letter: Mapping[str, Any]) -> Iterator[str]:
    if letter["flow"] is not None:
        trigger = "" if letter["trigger"] is None else f", trigger {letter['trigger']}"
        version = letter["flow_version"] or ""
        yield f"flow      {printable(letter['flow'])} {printable(version)}{trigger}"
    if letter["parent_run_id"] is not None:
        yield f"parent    {printable(letter['parent_run_id'])}"
    if letter["path"]:
        yield f"path      {printable(' > '.join(letter['path']))}"


def _content_lines(letter: Mapping[str, Any]) -> Iterator[str]:
    if letter["event"] is not None:
        yield f"event     {_indented(letter['event'])}"
    elif letter["event_id"] is not None:
        yield f"event     {printable(letter['event_id'])}, which was too large to keep"
    for event in letter["more_events"]:
        yield f"and       {_indented(event)}"
    if letter["subject"] is not None:
        yield f"subject   {printable(letter['subject'])}"
    if letter["raw"] is not None:
        text = shortened(letter["raw"], RAW_CHARS_MAX)
        yield f"raw       {letter['raw_bytes']} bytes, base64: {text}"


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


def _indented(value: Any) -> str:
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    return shortened("\n          ".join(map(printable, lines)), PAYLOAD_CHARS_MAX)


def _time(instant_ms: int) -> str:
    return f"{datetime.fromtimestamp(instant_ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
