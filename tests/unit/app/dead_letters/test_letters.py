"""Letters, filters and moments without a bus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ids import run_id
from actors.runs.redriving import redriven
from app.bus.dead_letters import encode_letter
from app.bus.direct import StoredMessage
from app.dead_letters.letters import DAMAGED, LetterFilter, Report, keep
from app.dead_letters.moments import parse_moment
from tests.support.letters import a_letter

NOW_MS = 1_700_000_000_000
STORED = {"Nats-Time-Stamp": "2023-11-14T22:13:20.123456789Z"}


def a_message(data: bytes, headers: dict[str, str] | None = None) -> StoredMessage:
    return StoredMessage(
        "greentic.dead.dev.acme.x.r1", 7, data, STORED if headers is None else headers
    )


# ── Letters ──────────────────────────────────────────────────────────────────────────────────


def test_letter_is_kept_with_its_place_and_time() -> None:
    kept = keep("acme", a_message(encode_letter(a_letter(1))))
    assert (kept.id, kept.sequence, kept.stored_ms) == ("r1", 7, 1_700_000_000_123)
    assert (kept.failed_ms, kept.can_redrive) == (1001, True)
    unknown = keep("acme", a_message(encode_letter(a_letter(1, failed_ms=0))))
    assert unknown.failed_ms == 1_700_000_000_123


@pytest.mark.parametrize(
    "data", [b"", b"{}", encode_letter(a_letter(1, "other"))], ids=["none", "empty", "foreign"]
)
def test_damaged_letter_has_a_place_and_no_content(data: bytes) -> None:
    kept = keep("acme", a_message(data))
    assert (kept.id, kept.reason, kept.can_redrive) == ("@7", DAMAGED, False)
    assert kept.without_content() is kept
    assert set(kept.as_document()) == {
        "letter_id", "sequence", "reason", "failed_ms", "stored_ms", "can_redrive", "damage"
    }  # fmt: skip


@pytest.mark.parametrize("stamp", ["", "yesterday", "2023-99-99T00:00:00Z"])
def test_time_that_cannot_be_read_is_the_beginning(stamp: str) -> None:
    kept = keep("acme", a_message(b"", {"Nats-Time-Stamp": stamp}))
    assert kept.stored_ms == 0
    assert keep("acme", a_message(b"", {})).stored_ms == 0


def test_letters_run_is_fresh_and_the_same_each_time() -> None:
    letter = a_letter(1)
    first, again = redriven(letter), redriven(letter)
    assert first is not None
    assert first == again
    assert first.run_id == run_id("e1", "flow1", "r1")
    assert first.run_id != run_id("e1", "flow1")
    other = redriven(a_letter(1, letter_id=first.run_id))
    assert other is not None
    assert other.run_id not in ("r1", first.run_id)


def test_letter_without_flow_or_event_is_no_run() -> None:
    assert redriven(a_letter(1, flow=None)) is None
    assert redriven(a_letter(1, event=None)) is None


def test_empty_filter_takes_damaged_letters_and_others_do_not() -> None:
    damaged = keep("acme", a_message(b""))
    assert LetterFilter().matches(damaged)
    assert LetterFilter(reason=DAMAGED).matches(damaged)
    for which in (LetterFilter(flow="f"), LetterFilter(event_id="e"), LetterFilter(event_type="a")):
        assert not which.matches(damaged)
        assert not which.is_empty


def test_report_counts_all_failures_and_names_the_first() -> None:
    report = Report()
    for number in range(150):
        report.fail(f"r{number}", "no")
    document = report.as_document()
    assert (document["failed"], len(document["failures"])) == (150, 100)


# ── Moments ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "ago_ms"),
    [
        ("90s", 90_000),
        ("30m", 1_800_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1w", 604_800_000),
    ],
)
def test_time_ago(text: str, ago_ms: int) -> None:
    assert parse_moment(text, NOW_MS) == NOW_MS - ago_ms


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20",
        "2023-11-15T00:13:20+02:00",
        "20231114T221320Z",
    ],
)
def test_time_of_the_clock(text: str) -> None:
    assert parse_moment(text, 0) == NOW_MS


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_is_refused(text: str) -> None:
    try:
        moment = parse_moment(text, NOW_MS)
    except ValueError:
        return
    assert moment >= 0


@pytest.mark.parametrize("text", ["", "soon", "2", "h", "-2h", "2 h", "2023-13-01", "9999999d"])
def test_other_texts_are_refused_with_what_is_understood(text: str) -> None:
    with pytest.raises(ValueError, match="30m, 2h or 7d"):
        parse_moment(text, NOW_MS)
