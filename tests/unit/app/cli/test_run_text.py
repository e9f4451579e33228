"""Runs on a terminal: tables, timelines, and what strangers may not do with them."""

import io
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from app.cli.run_hints import HINTS, hint_for
from app.cli.run_text import run_lines, table_lines, tail_line
from app.cli.run_timeline import BAR_CELLS, bar, span_text
from app.control.kept_runs import KeptRun, Place

FLOWS_PAGE = Path(__file__).parents[4] / "docs" / "flows.md"
NOON_MS = 1_774_526_400_000
TIMED_OUT = "failed http.timeout  (try 2, journalled)"
ERROR = {"code": "http.timeout", "node": "call", "message": "no answer within 5 s"}


def a_step(step: str, node: str, at_ms: int, took_us: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "node": node, "at_ms": at_ms, "took_us": took_us, **more}


STEPS = [
    a_step("price", "script", 0, 400, outcome="done", is_replayed=True, output={"sum": 30}),
    a_step(
        "call", "http", 1, 500_000, outcome="failed", attempt=2, is_journalled=True,
        code="http.timeout",
    ),
    a_step("pause", "wait", 502, 20, outcome="slept"),
    a_step("sub", "flow2flow", 510, 100, outcome="called"),
    a_step("sub/mail", "email", 700, 300_000, outcome="done", input={"to": "ann"}),
]  # fmt: skip


def a_record(**fields: Any) -> dict[str, Any]:
    return {
        "tenant": "demo", "run_id": "run1", "flow": "orders/take", "flow_version": "v1",
        "status": "failed", "event_id": "e1", "event_type": "order.created", "trigger": "event:1",
        "parent_run_id": None, "correlation_id": "c-1", "started_ms": NOON_MS,
        "finished_ms": NOON_MS + 1000, "attempt": 2, "error": ERROR, "output": None,
        "path": ["price", "call", "pause", "sub", "sub/mail"], "steps": STEPS,
        "usage": {"events": 1, "operations": 1204, "effects": 2, "bytes": 81}, **fields,
    }  # fmt: skip


def seen(**fields: Any) -> dict[str, Any]:
    document = KeptRun(Place(1, 0), a_record(**fields)).as_document()
    return {
        "run_id": "run1", "state": "ended", "began_ms": None, "journal_entries": 3,
        "record": document, "waiting": None,
    }  # fmt: skip


def shown(document: dict[str, Any], *, with_values: bool = False) -> list[str]:
    lines = run_lines(document, NOON_MS + 60_000, with_values=with_values)
    return [str(line).rstrip() for line in lines]


def test_a_run_that_has_ended_is_a_timeline() -> None:
    assert shown(seen()) == [
        "run       run1",
        "state     failed",
        "error     http.timeout at call: no answer within 5 s",
        "hint      it may have been heard; 'retry' in the node's config tries it again",
        "letter    'dead-letter list --event-id e1' names it",
        "flow      orders/take v1, trigger event:1, attempt 2",
        "event     order.created e1",
        "belongs   to c-1",
        "time      12:00:00.000Z on 2026-03-26, took 1.00 s",
        "used      1 event, 81 bytes, 1,204 operations, 2 effects",
        "journal   3 entries",
        "steps",
        "    +0 ms  █·······················  400 µs  script     price     done  (replayed)",
        f"    +1 ms  ████████████············  500 ms  http       call      {TIMED_OUT}",
        "  +502 ms  ············█···········   20 µs  wait       pause     slept",
        "  +510 ms  ············█···········  100 µs  flow2flow  sub       called",
        "  +700 ms  ················███████·  300 ms  email      sub/mail  done",
    ]


def test_values_are_shown_when_asked_for() -> None:
    lines = shown(seen(output={"n": 1}), with_values=True)
    assert '      out  {"sum": 30}' in lines
    assert '      in   {"to": "ann"}' in lines
    assert lines[-1] == 'output    {"n": 1}'
    assert not [line for line in shown(seen(output={"n": 1})) if "sum" in line or '"n"' in line]


def test_an_older_record_has_its_path_alone() -> None:
    record = a_record(error=None, status="completed")
    for name in ("steps", "usage", "correlation_id"):
        del record[name]
    document = {**seen(), "record": KeptRun(Place(1, 0), record).as_document()}
    lines = shown(document)
    assert (
        "path      price > call > pause > sub > sub/mail (its record is older than timelines)"
        in (lines)
    )
    assert not [line for line in lines if line.startswith(("steps", "used", "belongs", "error"))]


def test_steps_that_the_record_does_not_keep_are_told() -> None:
    assert "steps     the last 5 of 120" in shown(seen(path=["price"] * 120))


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (
            {"due_ms": NOON_MS + 3_720_000, "is_due": False},
            "state     waiting until 2026-03-26 13:02:00Z, 1 h 01 min from now",
        ),
        (
            {"due_ms": NOON_MS, "is_due": True},
            "state     due since 2026-03-26 12:00:00Z, 1 min 00 s ago: it is on its way to a worker",
        ),
        ({"due_ms": None, "is_due": True}, "state     due: it is on its way to a worker"),
    ],
    ids=["waiting", "due", "now"],
)
def test_a_run_that_has_not_ended_is_told_where_it_stands(state: dict[str, Any], line: str) -> None:
    waiting = {"flow": "nightly", "event_id": "e1", "attempt": 1, "leg": 1, "round": 0, **state}
    document = {
        "run_id": "run1", "state": "waiting", "began_ms": NOON_MS, "journal_entries": 2,
        "record": None, "waiting": waiting,
    }  # fmt: skip
    assert shown(document) == [
        "run       run1",
        line,
        "flow      nightly, attempt 1",
        "event     e1",
        "began     2026-03-26 12:00:00Z, 1 min 00 s ago",
        "journal   2 entries",
    ]
    begun = shown({**document, "waiting": None})
    assert begun[1] == "state     begun: it did something, and nothing is known of its end"


def test_a_list_is_a_table() -> None:
    runs = [
        KeptRun(Place(1, 0), a_record(run_id="runA")).as_summary(),
        KeptRun(
            Place(1, 1),
            a_record(flow="n", status="completed", error=None, finished_ms=NOON_MS + 5),
        ).as_summary(),
    ]
    assert "\n".join(map(str, table_lines(runs))).split("\n") == [
        "2026-03-26 12:00:01Z  runA  failed     1.00 s  orders/take  order.created e1",
        "    http.timeout at call: no answer within 5 s",
        "2026-03-26 12:00:00Z  run1  completed    5 ms  n            order.created e1",
    ]
    assert list(table_lines([])) == []
    assert str(tail_line(runs[0])) == (
        "12:00:01.000Z  failed       1.00 s  orders/take  runA  order.created e1"
        "  http.timeout at call: no answer within 5 s"
    )


def test_nothing_of_a_run_moves_the_cursor_or_colours_the_terminal() -> None:
    evil = "\x1b[2J\x07\u202e\n[red]x"
    error = {"code": evil, "node": evil, "message": evil}
    steps = [a_step(evil, evil, 0, 1, outcome=evil, code=evil, output={evil: evil}, input=evil)]
    names = [name for name, value in a_record().items() if isinstance(value, str)]
    fields = dict.fromkeys([*names, "parent_run_id"], evil)
    record = a_record(**fields, error=error, steps=steps, output=evil)
    run = KeptRun(Place(1, 0), record)
    document = {**seen(), "run_id": evil, "record": run.as_document()}
    old = {**document, "record": {**run.as_document(), "steps": [], "path": [evil]}}
    lines = [
        *run_lines(document, 0, with_values=True),
        *run_lines(old, 0, with_values=True),
        *table_lines([run.as_summary()]),
        tail_line(run.as_summary()),
    ]
    text = printed(lines)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "[red]x" in text
    # A line of the table may have a second one for its error, and nothing else has.
    assert text.count("\n") == len(lines) + 1


def printed(lines: list[Text]) -> str:
    out = io.StringIO()
    console = Console(file=out, markup=False, highlight=False, emoji=False, soft_wrap=True)
    for line in lines:
        console.print(line)
    return out.getvalue()


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0 ms"), (40, "40 µs"), (1400, "1.4 ms"), (5000, "5 ms"), (12_345, "12 ms"),
        (999_999, "1.00 s"), (1_000_000, "1.00 s"), (59_990_000, "59.99 s"),
        (60_000_000, "1 min 00 s"), (3_599_000_000, "59 min 59 s"), (3_600_000_000, "1 h 00 min"),
        (90_000_000_000, "1 d 1 h"),
    ],
)  # fmt: skip
def test_spans(microseconds: int, text: str) -> None:
    assert span_text(microseconds) == text


def test_a_bar_is_always_as_wide_and_never_empty() -> None:
    for at, took, whole in itertools.product(
        (-5, 0, 1, 500, 999, 1000, 5000), (-5, 0, 1, 500, 1000, 9000), (0, 1000)
    ):
        drawn = bar(at, took, whole)
        assert len(drawn) == BAR_CELLS
        assert re.fullmatch("·*█+·*", drawn)


# ── Hints ────────────────────────────────────────────────────────────────────────────────────


def test_hints_are_for_codes_that_there_are() -> None:
    page = FLOWS_PAGE.read_text()
    assert not [code for code in HINTS if f"`{code}" not in page]


def test_hint_of_a_code_goes_before_that_of_its_family() -> None:
    assert hint_for("script.busy") == HINTS["script.busy"]
    assert hint_for("script.type_mismatch") == HINTS["script."]
    assert hint_for("flow_error") is None
    assert hint_for("") is None
