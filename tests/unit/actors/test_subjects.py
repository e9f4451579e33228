"""Subjects: names that cannot reach into another tenant's space."""

from collections.abc import Callable

import pytest

from actors import subjects
from actors.errors import InvalidEventError, InvalidSubjectError
from actors.subjects import (
    EventSubject,
    build_event_subject,
    build_result_subject,
    check_pattern,
    check_token,
    cover_patterns,
    is_reply_subject,
    matches_pattern,
    parse_event_subject,
    reply_subject,
)

BAD_TOKENS = ["", "a.b", "*", ">", "A", "-a", "_a", "a b", "a\n", "é", "x" * 64]


@pytest.mark.parametrize("name", ["a", "0", "demo", "acme-eu_1", "x" * 63])
def test_a_token_is_given_back(name: str) -> None:
    assert check_token(name, "tenant") == name


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_what_is_no_token_is_refused_with_its_kind(name: str) -> None:
    with pytest.raises(InvalidSubjectError, match=r"^tenant "):
        check_token(name, "tenant")


# ── Events and results ───────────────────────────────────────────────────────────────────────


def test_events_and_results_have_their_subjects() -> None:
    assert build_event_subject("dev", "demo", "order.created") == (
        "greentic.events.dev.demo.order.created"
    )
    assert build_result_subject("dev", "demo", "order.created") == (
        "greentic.events.dev.demo.order.created.result"
    )


def test_subjects_are_taken_apart() -> None:
    event = parse_event_subject("greentic.events.dev.demo.order.created")
    assert event == EventSubject("dev", "demo", "order.created", is_result=False)
    result = parse_event_subject("greentic.events.dev.demo.order.created.result")
    assert result == EventSubject("dev", "demo", "order.created", is_result=True)


@pytest.mark.parametrize(
    "subject",
    ["", "greentic.events.dev.demo", "greentic.runs.dev.demo.x", "other.events.dev.demo.x",
     "greentic.events.DEV.demo.x", "greentic.events.dev.De.x", "greentic.events.dev.demo.",
     "greentic.events.dev.demo.UPPER", "greentic.events.dev.demo.result",
     "greentic.events.dev.demo.x.result.result", "greentic.events.dev.demo.a.b.c.d.e.f.g.h.i"],
)  # fmt: skip
def test_other_subjects_are_refused(subject: str) -> None:
    with pytest.raises(InvalidSubjectError):
        parse_event_subject(subject)


def test_an_event_type_that_is_none_builds_no_subject() -> None:
    with pytest.raises(InvalidEventError):
        build_event_subject("dev", "demo", "*")


# ── The others ───────────────────────────────────────────────────────────────────────────────

BUILDERS: dict[str, tuple[Callable[[str, str], str], str]] = {
    "event": (lambda e, t: build_event_subject(e, t, "x"), "greentic.events.dev.demo.x"),
    "events": (subjects.tenant_events, "greentic.events.dev.demo.>"),
    "record": (
        lambda e, t: subjects.run_record_subject(e, t, "auth/login"),
        "greentic.runs.dev.demo.auth.login",
    ),
    "letter": (
        lambda e, t: subjects.dead_letter_subject(e, t, None, "S:1.2"),
        "greentic.dead.dev.demo.-.S:1_2",
    ),
    "letters": (subjects.dead_letters_of, "greentic.dead.dev.demo.>"),
    "named": (
        lambda e, t: subjects.dead_letters_named(e, t, "r.1"),
        "greentic.dead.dev.demo.*.r_1",
    ),
    "before": (subjects.dead_letters_before, "greentic.dead.dev.demo"),
    "run": (lambda e, t: subjects.work_run_subject(e, t, "r1"), "greentic.work.dev.demo.run.r1"),
    "at": (lambda e, t: subjects.work_schedule_subject(e, t, "r"), "greentic.work.dev.demo.at.r"),
    "runs": (subjects.work_runs, "greentic.work.dev.demo.run.>"),
    "journal": (
        lambda e, t: subjects.journal_subject(e, t, "r1", "a"),
        "greentic.journal.dev.demo.r1.a",
    ),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_subject_names_its_env_and_tenant(name: str) -> None:
    build, expected = BUILDERS[name]
    assert build("dev", "demo") == expected


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("bad", ["a.b", "*", ">", ""])
def test_no_subject_is_built_of_more_than_single_tokens(name: str, bad: str) -> None:
    build, _ = BUILDERS[name]
    with pytest.raises(InvalidSubjectError, match=r"^env "):
        build(bad, "demo")
    with pytest.raises(InvalidSubjectError, match=r"^tenant "):
        build("dev", bad)


def test_workers_answer_only_where_an_ingress_listens() -> None:
    assert is_reply_subject(reply_subject("i1", "01HXYZ-evt_1"))
    for subject in (
        "greentic.reply.i1", "greentic.reply.i1.a.b", "greentic.reply.*.a", "greentic.reply.i1.>",
        "greentic.events.dev.demo.x", "greentic.reply.i1.a\n", "xgreentic.reply.i1.a",
        "greentic-reply.i1.a", "greentic.reply.i1." + "x" * 129,
    ):  # fmt: skip
        assert not is_reply_subject(subject)


# ── Patterns ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "pattern", [">", "*", "order.*", "*.created", "order.>", "a.*.c.>", "a_-1"]
)
def test_patterns_of_tokens_and_wildcards_are_taken(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["", ".", "a.", "a..b", ">.a", "a.>.b", "a*", "*a", "a.>b", "A", "a b", "a\n", "result",
     "order.result", "*.result", "x" * 129],
)  # fmt: skip
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidSubjectError):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("order.created", ["order.created"], ["order", "order.created.x", "order.deleted"]),
        ("order.*", ["order.created", "order.x"], ["order", "order.a.b", "user.created"]),
        ("*.created", ["order.created"], ["created", "order.x.created"]),
        ("order.>", ["order.a", "order.a.b"], ["order", "orders.a"]),
        ("*.a.>", ["x.a.b", "y.a.b.c"], ["x.a", "x.b.c"]),
        (">", ["a", "a.b.c"], []),
    ],
)
def test_a_star_is_one_token_and_an_arrow_the_rest(
    pattern: str, matching: list[str], other: list[str]
) -> None:
    assert [name for name in matching if matches_pattern(pattern, name)] == matching
    assert [name for name in other if matches_pattern(pattern, name)] == []


@pytest.mark.parametrize(
    ("patterns", "cover"),
    [
        ([], ()),
        (["order.created", "order.created"], ("order.created",)),
        (["order.created", "user.created"], ("order.created", "user.created")),
        (["order.created", "order.*"], ("order.*",)),
        (["order.*", "order.>", "order.a.b"], ("order.>",)),
        (["order", "order.>"], ("order", "order.>")),
        (["a.*", "*.b"], ("*.*",)),
        (["a.>", "*.b"], ("*.>",)),
        (["a.*.c", "a.b.*", "a.>", "b"], ("a.>", "b")),
        (["order.created", ">"], (">",)),
        # a join may overlap what was apart before
        (["c.d", "a.*", "*.b"], ("*.*",)),
    ],
)
def test_a_cover_is_the_fewest_patterns_that_do_not_overlap(
    patterns: list[str], cover: tuple[str, ...]
) -> None:
    assert cover_patterns(patterns) == cover
    assert cover_patterns(reversed(patterns)) == cover
