"""Marks of writes travel as text, know what they saw, and stay within their bounds."""

from hypothesis import given
from hypothesis import strategies as st

from actors.ports import STATE_WRITE_ID_SECONDS
from app.stores.write_ids import KEPT_MIN, WRITES_CHARS_MAX, WriteIds

NOW_MS = 1_800_000_000_500
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def after(writes: list[tuple[str, int]]) -> WriteIds:
    """Make these writes in turn, each through the text, as they travel."""
    marks = WriteIds()
    for name, now_ms in writes:
        marks = WriteIds.parse(marks.with_write(name, now_ms).as_text())
    return marks


def test_no_writes_are_an_empty_text() -> None:
    assert WriteIds().as_text() == ""
    assert WriteIds.parse("") == WriteIds()
    assert not WriteIds().knows("")


@given(st.lists(st.tuples(NAMES, st.integers(0, 20_000)), max_size=30))
def test_every_write_of_the_last_minutes_is_known(written: list[tuple[str, int]]) -> None:
    writes = [(name, NOW_MS + later) for name, later in sorted(written, key=lambda one: one[1])]
    marks = after(writes)
    assert all(marks.knows(name) for name, _ in writes)
    assert not marks.knows("a name of more than thirty characters")
    assert WriteIds.parse(marks.as_text()) == marks


def test_mark_at_the_seam_of_two_is_no_mark() -> None:
    marks = after([(f"w{number}", NOW_MS) for number in range(500)])
    assert not any(marks.knows(f"other{number}") for number in range(2000))


def test_old_writes_go_with_a_later_one_but_for_the_last_few() -> None:
    marks = after([(f"w{number}", NOW_MS + number * 1000) for number in range(40)])
    later = NOW_MS + (40 + STATE_WRITE_ID_SECONDS) * 1000
    assert all(marks.knows(f"w{number}") for number in range(40)), "nobody has written since"
    marks = marks.with_write("late", later)
    known = [number for number in range(40) if marks.knows(f"w{number}")]
    assert known == list(range(40 - KEPT_MIN + 1, 40))
    assert marks.knows("late")


def test_writes_of_the_last_minutes_stay_however_many_came_before() -> None:
    writes = [(f"w{number}", NOW_MS + number * 1000) for number in range(STATE_WRITE_ID_SECONDS)]
    marks = after(writes)
    assert all(marks.knows(name) for name, _ in writes)


def test_many_writes_of_one_second_or_of_many_keep_the_newest_within_the_bound() -> None:
    for pace_ms in (0, 7, 100):
        writes = [(f"w{number}", NOW_MS + number * pace_ms) for number in range(2600)]
        marks = WriteIds()
        for name, then_ms in writes:
            marks = marks.with_write(name, then_ms)
        assert len(marks.as_text()) <= WRITES_CHARS_MAX
        assert marks.knows("w2599")
        assert all(marks.knows(f"w{number}") for number in range(1000, 2600))
        assert not marks.knows("w0")


def test_text_that_is_none_of_ours_holds_no_marks() -> None:
    for text in ("x", ":", "1:", "1:short", "zz:12345678x", "-1:12345678", "\x00", "é:12345678"):
        assert WriteIds.parse(text) == WriteIds()


def test_text_is_printable_in_one_line() -> None:
    text = after([("w1", NOW_MS), ("w2", NOW_MS + 60_000)]).as_text()
    assert text.isascii()
    assert text.isprintable()
    assert text == text.strip()
