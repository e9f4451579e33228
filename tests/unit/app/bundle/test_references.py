"""References to stored secrets and ``$NAME`` variables: resolved, and escaped, exactly."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bundle.answers import Answers, Lookups, read_answers
from app.bundle.json_document import read_json
from app.bundle.references import (
    find_references,
    reference_to,
    referenced_name,
    resolve_references,
    revision_with,
)
from app.bundle.variables import escape_text, expand_variables

NAME = "events-webhook.secret_key"
CANARY = "canary-7f3a"


@dataclass(frozen=True)
class Stored:
    value: str
    revision: int = 1


def test_reference_is_a_map_with_one_key() -> None:
    assert referenced_name(reference_to(NAME)) == NAME


@pytest.mark.parametrize(
    "value", [NAME, None, [], {}, {"$secret": 1}, {"$secret": NAME, "a": 1}, {"secret": NAME}]
)
def test_anything_else_is_none(value: Any) -> None:
    assert referenced_name(value) is None


def test_references_are_resolved_at_any_depth() -> None:
    options = {"a": {"s": [reference_to("one"), {"t": reference_to("two")}]}, "plain": "$x"}
    missing: list[Any] = []
    resolved = resolve_references(
        options, {"one": Stored("$VALUE")}, lambda path, name: missing.append((path, name))
    )
    assert resolved == {"a": {"s": ["$VALUE", {"t": None}]}, "plain": "$x"}
    assert missing == [(("a", "s", 1, "t"), "two")]
    assert find_references(options) == {"one", "two"}


def test_revision_follows_the_secrets_writes_and_not_their_values() -> None:
    base = revision_with("r", {})
    one = revision_with("r", {"a": Stored("x", 1)})
    assert base == "r"
    assert len({base, one, revision_with("r", {"a": Stored("x", 2)})}) == 3
    assert one == revision_with("r", {"a": Stored("another", 1)})


@given(st.text(max_size=12) | st.from_regex(r"\$*[A-Za-z_]\w*", fullmatch=True))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    def report(*_arguments: Any) -> None:
        raise AssertionError(text)

    assert expand_variables(escape_text(text), {}, report) == text


# ── In answers ───────────────────────────────────────────────────────────────────────────────


def answers(text: str, secrets: dict[str, Stored] | None) -> Answers:
    return read_answers(read_json(text, "answers.json"), {}, Lookups({}, secrets))


WEBHOOK = '{"events-webhook": {"secret_header": "x", "secret_key": {"$secret": "k"}}}'


def test_secret_is_in_its_option_before_that_is_checked() -> None:
    read = answers(WEBHOOK, {"k": Stored(CANARY)})
    assert read.problems == ()
    options: Any = read.options["events-webhook"]
    assert options.secret_key.get_secret_value() == CANARY
    assert CANARY not in repr(read)


def test_missing_secret_is_one_problem_with_its_place() -> None:
    read = answers(WEBHOOK, {})
    [problem] = read.problems
    assert problem.code == "bundle.secret_missing"
    assert problem.path == ("events-webhook", "secret_key")
    assert problem.hint is not None
    assert "setup" in problem.hint
    assert "events-webhook" not in read.options


def test_without_a_store_the_provider_is_on_and_unchecked() -> None:
    read = answers(WEBHOOK, None)
    assert read.problems == ()
    assert read.unchecked == {"events-webhook"}
    assert "events-webhook" not in read.options


def test_other_mistakes_are_told_without_a_store_too() -> None:
    text = WEBHOOK.replace('"x"', '"not a header"')
    [problem] = answers(text, None).problems
    assert problem.path == ("events-webhook", "secret_header")


def test_wrong_secret_is_refused_without_being_repeated() -> None:
    [problem] = answers(WEBHOOK, {"k": Stored("   ")}).problems
    assert problem.path == ("events-webhook", "secret_key")
