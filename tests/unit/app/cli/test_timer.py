"""`timer next` and `timer list` without a server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import run
from tests.support.programs import write_bundle

FLOWS = {
    "clean": """
name: clean/up
version: "1"
triggers:
  - {type: event, event_type: a.b, target: done}
  - {type: timer, cron: "30 3 * * *", timezone: Europe/Riga, target: say}
  - {type: timer, cron: "@daily", target: say, overlap: queue, misfire: all, jitter: 30s}
nodes:
  - {id: say, type: template, config: {template: "x"}}
""",
    "never": """
name: never
version: "1"
triggers:
  - {type: timer, cron: "0 0 30 2 *", target: say}
nodes:
  - {id: say, type: template, config: {template: "x"}}
""",
}
TENANTS = "tenants: {demo: {}, other: {settings: {timezone: Asia/Tokyo}}}\n"

Out = Callable[[], tuple[str, str]]


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Out:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def read() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return read


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", FLOWS, TENANTS)


def document(out: Out) -> Any:
    return json.loads(out()[0])


# ── next ─────────────────────────────────────────────────────────────────────────────────────


def test_next_tells_what_the_clocks_do(out: Out) -> None:
    arguments = ["timer", "next", "30 3 * * *", "--timezone", "Europe/Riga"]
    assert run([*arguments, "--from", "2021-03-27T00:00", "--count", "3"]) == 0
    lines = out()[0].splitlines()
    assert lines[0] == "2021-03-27T03:30:00+02:00  Sat"
    assert lines[1].startswith("2021-03-28T04:00:00+03:00  Sun  (moved")
    assert lines[2] == "2021-03-29T03:30:00+03:00  Mon"


def test_next_marks_the_repeated_hour(out: Out) -> None:
    arguments = ["timer", "next", "30 * * * *", "--timezone", "Europe/Riga", "--json"]
    assert run([*arguments, "--from", "2021-10-31T03:00+03:00", "--count", "3"]) == 0
    firings = document(out)["firings"]
    assert [(firing["at"], firing["change"]) for firing in firings] == [
        ("2021-10-31T03:30:00+03:00", "first"),
        ("2021-10-31T03:30:00+02:00", "second"),
        ("2021-10-31T04:30:00+02:00", None),
    ]


def test_next_of_now_is_five_firings_to_come(out: Out) -> None:
    assert run(["timer", "next", "*/10 * * * * *", "--json"]) == 0
    read = document(out)
    times = [firing["at_ms"] for firing in read["firings"]]
    assert len(times) == 5
    assert times[0] > read["from_ms"]
    assert [later - times[0] for later in times] == [0, 10_000, 20_000, 30_000, 40_000]


def test_next_of_a_time_that_never_comes_says_so(out: Out) -> None:
    assert run(["timer", "next", "0 0 30 2 *"]) == 0
    assert out()[0].startswith("never")
    assert run(["timer", "next", "0 0 30 2 *", "--json"]) == 0
    read = document(out)
    assert (read["never"], read["firings"]) == (True, [])


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["61 * * * *"], 1, "bad cron expression"),
        (["R * * * *"], 1, "drawn anew"),
        (["* * * * *", "--timezone", "Europe/Pariss"], 1, "did you mean 'Europe/Paris'?"),
        (["* * * * *", "--from", "yesterday"], 1, "is no time"),
        (["* * * * *", "--count", "0"], 2, "count"),
        (["* * * * *", "--count", "1001"], 2, "count"),
        ([], 2, "EXPR"),
    ],
)
def test_what_next_cannot_read_is_refused(
    out: Out, arguments: list[str], code: int, text: str
) -> None:
    assert run(["timer", "next", *arguments]) == code
    assert text in out()[1]


# ── list ─────────────────────────────────────────────────────────────────────────────────────


def test_list_shows_every_timer_and_says_what_it_does_not_know(out: Out, bundle: Path) -> None:
    assert run(["timer", "list", str(bundle)]) == 0
    text, errors = out()
    assert "no server runs here" in errors
    assert "clean/up#2  @daily  Asia/Tokyo" in text
    assert "overlap queue, misfire all, jitter 30000 ms" in text
    assert "never: no such time comes" in text
    assert "not known" in text


def test_list_as_json_and_of_one_tenant(out: Out, bundle: Path) -> None:
    assert run(["timer", "list", str(bundle), "--tenant", "demo", "--json"]) == 0
    timers = document(out)["timers"]
    assert [timer["timer"] for timer in timers] == ["clean/up#1", "clean/up#2", "never#1"]
    first, second, never = timers
    assert (first["tenant"], first["event_type"]) == ("demo", "timer.clean.up.1")
    assert (first["cron"], first["timezone"]) == ("30 3 * * *", "Europe/Riga")
    assert (first["overlap"], first["misfire"], first["jitter_ms"]) == ("skip", "last", 0)
    assert (first["paused"], first["last"], len(first["next"])) == (None, None, 5)
    assert second["timezone"] == "UTC"
    assert never["next"] == []


def test_a_bundle_without_timers_has_none(out: Out, tmp_path: Path) -> None:
    assert run(["timer", "list", str(write_bundle(tmp_path, {}))]) == 0
    assert out()[0] == "there are no timers\n"


def test_an_unknown_tenant_or_server_is_refused(out: Out, bundle: Path) -> None:
    assert run(["timer", "list", str(bundle), "--tenant", "nobody"]) == 1
    assert "it has demo, other" in out()[1]
    assert run(["timer", "list", str(bundle), "--data", str(bundle / "nowhere")]) == 1
    assert run(["timer", "list", str(bundle), "--nats-url", "nats://127.0.0.1:1"]) == 4


def test_pausing_needs_a_server(out: Out, tmp_path: Path) -> None:
    for verb in ("pause", "resume"):
        assert run(["timer", verb, "clean/up#1", "--data", str(tmp_path)]) == 1
        assert "no nats.json" in out()[1]
