"""Subjects round-trip; a cover matches all its patterns match, and none of it overlaps."""

from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidSubjectError
from actors.subjects import (
    EventSubject,
    build_event_subject,
    build_result_subject,
    check_pattern,
    cover_patterns,
    matches_pattern,
    parse_event_subject,
)

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
TYPES = (
    st.lists(st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True), min_size=1, max_size=8)
    .filter(lambda tokens: tokens[-1] != "result")
    .map(".".join)
)
PATTERNS = st.builds(
    lambda tokens, tail: ".".join([*tokens, *tail]),
    st.lists(st.sampled_from(["a", "b", "*"]), max_size=2),
    st.sampled_from([["a"], ["b"], ["*"], [">"]]),
)
SHORT_TYPES = [
    ".".join(tokens) for length in range(1, 5) for tokens in product("abc", repeat=length)
]
"""Every type of up to four tokens, of which one occurs in no pattern: all a pattern can tell."""


@given(NAMES, NAMES, TYPES)
def test_event_and_result_subjects_round_trip(env: str, tenant: str, event_type: str) -> None:
    subject = build_event_subject(env, tenant, event_type)
    assert parse_event_subject(subject) == EventSubject(env, tenant, event_type, is_result=False)
    result = build_result_subject(env, tenant, event_type)
    assert parse_event_subject(result) == EventSubject(env, tenant, event_type, is_result=True)


@given(st.text(st.sampled_from("abz.*> \nA0"), max_size=30))
def test_what_parses_is_what_would_be_built(tail: str) -> None:
    subject = f"greentic.events.{tail}"
    try:
        parts = parse_event_subject(subject)
    except InvalidSubjectError:
        return
    build = build_result_subject if parts.is_result else build_event_subject
    assert build(parts.env, parts.tenant, parts.event_type) == subject


@given(st.lists(PATTERNS, max_size=6))
def test_a_cover_matches_everything_its_patterns_match(patterns: list[str]) -> None:
    cover = cover_patterns(patterns)
    for event_type in SHORT_TYPES:
        if any(matches_pattern(pattern, event_type) for pattern in patterns):
            assert any(matches_pattern(pattern, event_type) for pattern in cover)
    for pattern in cover:
        check_pattern(pattern)


@given(st.lists(PATTERNS, max_size=6))
def test_no_two_patterns_of_a_cover_match_the_same_type(patterns: list[str]) -> None:
    matched = [
        {name for name in SHORT_TYPES if matches_pattern(pattern, name)}
        for pattern in cover_patterns(patterns)
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(matched, 2))


@given(st.lists(PATTERNS, max_size=6), st.randoms())
def test_a_cover_does_not_depend_on_order_and_covers_itself(
    patterns: list[str], chance: object
) -> None:
    cover = cover_patterns(patterns)
    shuffled = list(patterns)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis calls its type object
    assert cover_patterns(shuffled) == cover
    assert cover_patterns(cover) == cover
    assert len(cover) <= len(set(patterns))
