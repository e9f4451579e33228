"""Runs as people read them on a terminal.

In: documents of runs, as `app.control.run_desk` and the API give them. Out: lines. What they carry
is text that strangers sent: control characters in it are replaced.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from app.cli.output import printable, shortened
from app.cli.run_hints import hint_for
from app.cli.run_timeline import span_text, timeline_lines

MESSAGE_CHARS_MAX: Final = 400
PATH_CHARS_MAX: Final = 4000
OUTPUT_CHARS_MAX: Final = 4000
FLOW_CHARS_MAX: Final = 48
STATUS_CHARS: Final = len("completed")

STYLES: Final = {
    "completed": "green",
    "failed": "bold red",
    "rejected": "yellow",
    "cancelled": "yellow",
}
_NO_STEPS: Final = "(its record is older than timelines)"


# ── Lists ────────────────────────────────────────────────────────────────────────────────────


def table_lines(runs: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """Give runs as a table, and below each what it failed of."""
    took = [span_text(_took_us(run)) for run in runs]
    flows = [_flow(run) for run in runs]
    took_width, flow_width = (max(map(len, each), default=0) for each in (took, flows))
    for run, span, flow in zip(runs, took, flows, strict=True):
        line = Text(f"{time_text(run['finished_ms'])}  ")
        line.append(printable(run["run_id"]), style="bold")
        line.append("  ")
        line.append(f"{printable(run['status']):<{STATUS_CHARS}}", STYLES.get(run["status"], ""))
        line.append(f"  {span:>{took_width}}  {flow:<{flow_width}}  {_event(run)}")
        if run["error"] is not None:
            line.append(f"\n    {error_text(run['error'])}", style="dim")
        yield line


def tail_line(run: Mapping[str, Any]) -> Text:
    """Give one run on one line, to stand among others that are not known yet."""
    line = Text(f"{clock_text(run['finished_ms'])}  ")
    line.append(f"{printable(run['status']):<{STATUS_CHARS}}", STYLES.get(run["status"], ""))
    line.append(f"  {span_text(_took_us(run)):>8}  {_flow(run)}  ")
    line.append(printable(run["run_id"]), style="bold")
    line.append(f"  {_event(run)}")
    if run["error"] is not None:
        line.append(f"  {error_text(run['error'])}", style="red")
    return line


# ── One run ──────────────────────────────────────────────────────────────────────────────────


def run_lines(seen: Mapping[str, Any], now_ms: int, *, with_values: bool) -> Iterator[Text]:
    """Give all that is to be seen of a run: where it stands, then its record."""
    yield Text.assemble("run       ", (printable(seen["run_id"]), "bold"))
    record = seen["record"]
    if record is not None:
        yield from _record_lines(record, seen, with_values=with_values)
        return
    yield from _open_lines(seen, now_ms)


def _open_lines(seen: Mapping[str, Any], now_ms: int) -> Iterator[Text]:
    """Tell of a run that has not ended."""
    waiting = seen["waiting"]
    if waiting is None:
        yield Text("state     begun: it did something, and nothing is known of its end")
    else:
        yield _field("state", _waiting_text(waiting, now_ms))
        yield _field("flow", f"{waiting['flow']}, attempt {waiting['attempt']}")
        yield _field("event", waiting["event_id"])
    if seen["began_ms"] is not None:
        ago = span_text(max(0, now_ms - seen["began_ms"]) * 1000)
        yield _field("began", f"{time_text(seen['began_ms'])}, {ago} ago")
    yield _field("journal", _entries(seen["journal_entries"]))


def _waiting_text(waiting: Mapping[str, Any], now_ms: int) -> str:
    due_ms = waiting["due_ms"]
    if due_ms is None:
        return "due: it is on its way to a worker"
    distance = span_text(abs(due_ms - now_ms) * 1000)
    if waiting["is_due"]:
        return f"due since {time_text(due_ms)}, {distance} ago: it is on its way to a worker"
    return f"waiting until {time_text(due_ms)}, {distance} from now"


def _record_lines(
    record: Mapping[str, Any], seen: Mapping[str, Any], *, with_values: bool
) -> Iterator[Text]:
    status = record["status"]
    yield Text.assemble("state     ", (printable(status), STYLES.get(status, "")))
    yield from _error_lines(record)
    trigger = f", trigger {record['trigger']}" if record["trigger"] else ""
    version = f"{record['flow']} {record['flow_version']}"
    yield _field("flow", f"{version}{trigger}, attempt {record['attempt']}")
    yield _field("event", f"{record['event_type']} {record['event_id']}")
    if record["batch"]:
        yield _field("batch", f"{len(record['batch'])} events")
    if record["parent_run_id"]:
        yield _field("parent", record["parent_run_id"])
    if record.get("correlation_id"):
        yield _field("belongs", f"to {record['correlation_id']}")
    began = f"{clock_text(record['started_ms'])} on {time_text(record['started_ms'])[:10]}"
    yield _field("time", f"{began}, took {span_text(_took_us(record))}")
    if record.get("usage") is not None:
        yield _field("used", _usage_text(record["usage"]))
    if seen["journal_entries"]:
        yield _field("journal", _entries(seen["journal_entries"]))
    yield from _step_lines(record, with_values=with_values)
    if with_values:
        yield _field("output", shortened(_json(record["output"]), OUTPUT_CHARS_MAX))


def _error_lines(record: Mapping[str, Any]) -> Iterator[Text]:
    error = record["error"]
    if error is None:
        return
    yield Text(f"error     {error_text(error)}", style="red")
    if (hint := hint_for(str(error.get("code")))) is not None:
        yield Text(f"hint      {hint}")
    if record["status"] == "failed":
        yield _field("letter", f"'dead-letter list --event-id {record['event_id']}' names it")


def _step_lines(record: Mapping[str, Any], *, with_values: bool) -> Iterator[Text]:
    steps, path = record.get("steps"), record["path"]
    if not steps:
        if path:
            shown = shortened(" > ".join(map(str, path)), PATH_CHARS_MAX)
            yield _field("path", f"{shown} {_NO_STEPS}")
        return
    left_out = max(0, len(path) - len(steps))
    yield Text(f"steps     the last {len(steps)} of {len(path)}" if left_out else "steps")
    run_ms = record["finished_ms"] - record["started_ms"]
    yield from timeline_lines(steps, run_ms, with_values=with_values)


# ── Parts ────────────────────────────────────────────────────────────────────────────────────


def error_text(error: Mapping[str, Any]) -> str:
    """Write an error on one line."""
    at = f" at {error['node']}" if error.get("node") else ""
    text = printable(f"{error.get('code')}{at}: {error.get('message')}")
    return shortened(text, MESSAGE_CHARS_MAX)


def time_text(instant_ms: int) -> str:
    """Write a moment to the second."""
    return f"{_moment(instant_ms):%Y-%m-%d %H:%M:%SZ}"


def clock_text(instant_ms: int) -> str:
    """Write the time of day to the millisecond."""
    moment = _moment(instant_ms)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _moment(instant_ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(instant_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _usage_text(usage: Mapping[str, int]) -> str:
    counted = [
        f"{usage[name]:,} {name if usage[name] != 1 else name[:-1]}"
        for name in ("events", "bytes", "operations", "effects")
    ]
    return ", ".join(counted)


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def _flow(run: Mapping[str, Any]) -> str:
    return shortened(printable(run["flow"]), FLOW_CHARS_MAX)


def _event(run: Mapping[str, Any]) -> str:
    return printable(f"{run['event_type']} {run['event_id']}")


def _took_us(run: Mapping[str, Any]) -> int:
    return max(0, int(run["finished_ms"]) - int(run["started_ms"])) * 1000


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _field(name: str, text: str) -> Text:
    return Text(f"{name:<9} {printable(text)}")
