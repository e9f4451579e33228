"""Deployments: what makes a version, what belongs to a run, and what is worth a journal."""

import hashlib
from collections.abc import Mapping

import pytest

from actors.flows.compiled import CompiledFlow
from actors.tenants.deployment import Deployment
from tests.support.builders import Gate, a_flow, a_node, a_trigger, by_name


def flow(name: str, *calls: str, digest: str | None = None, has_effect: bool = False,
         calls_any: bool = False) -> CompiledFlow:  # fmt: skip
    node = a_node("first", Gate(), is_journalled=has_effect)
    return a_flow(
        node,
        name=name,
        digest=digest or f"digest-of-{name}",
        calls=frozenset(calls),
        calls_any=calls_any,
    )


def deployment(*flows: CompiledFlow, revision: str = "r1") -> Deployment:
    return Deployment("demo", revision, by_name(*flows))


# ── Versions ─────────────────────────────────────────────────────────────────────────────────


def test_a_flow_alone_is_known_by_its_digest() -> None:
    one = deployment(flow("a"), flow("b"))
    assert one.version_of("a") == "digest-of-a"
    other = deployment(flow("a"), flow("b", digest="changed"), revision="r2")
    assert other.version_of("a") == one.version_of("a")


@pytest.mark.parametrize("changed", ["a", "b", "c"])
def test_a_change_of_any_called_flow_is_another_version(changed: str) -> None:
    def version(**digests: str) -> str:
        flows = [
            flow("a", "b", digest=digests.get("a")),
            flow("b", "c", digest=digests.get("b")),
            flow("c", digest=digests.get("c")),
            flow("d", digest=digests.get("d")),
        ]
        return deployment(*flows).version_of("a")

    assert version(**{changed: "changed"}) != version()
    assert version(d="changed") == version()


def test_a_version_does_not_depend_on_the_order_of_files() -> None:
    flows = (flow("a", "b", "c"), flow("b"), flow("c"))
    assert deployment(*flows).version_of("a") == deployment(*flows[::-1]).version_of("a")


def test_every_process_gives_a_version_the_same_name() -> None:
    """Kept versions are found by it, by programs that come later too."""
    names = "abcdefghij"
    one = deployment(*(flow(name, *names) for name in names))
    joined = "".join(f"digest-of-{name}" for name in names)
    expected = hashlib.blake2b(joined.encode(), digest_size=20).hexdigest()
    assert {one.version_of(name) for name in names} == {expected}


def test_flows_that_call_each_other_have_a_version() -> None:
    one = deployment(flow("a", "b"), flow("b", "a"))
    assert one.version_of("a") == one.version_of("b")


def test_a_called_flow_that_is_not_there_changes_nothing() -> None:
    assert deployment(flow("a", "gone")).version_of("a") == "digest-of-a"


def test_a_flow_that_may_call_any_is_of_its_revision() -> None:
    flows = (flow("a", calls_any=True), flow("b"))
    assert deployment(*flows).version_of("a") == "r1"
    assert deployment(*flows, revision="r2").version_of("a") == "r2"
    assert deployment(*flows, revision="r2").version_of("b") == "digest-of-b"


# ── What belongs to a run ────────────────────────────────────────────────────────────────────

CALLS: Mapping[str, list[str]] = {
    "a": ["a", "b", "c"],
    "b": ["b", "c"],
    "c": ["c"],
    "any": ["a", "any", "b", "c"],
}


@pytest.mark.parametrize("name", CALLS)
def test_the_closure_is_all_that_may_run_inside(name: str) -> None:
    one = deployment(flow("a", "b", "gone"), flow("b", "c"), flow("c"), flow("any", calls_any=True))
    assert [item.name for item in one.closure_of(name)] == CALLS[name]


def test_the_closure_of_flows_that_call_each_other_ends() -> None:
    one = deployment(flow("a", "b"), flow("b", "a"))
    assert [item.name for item in one.closure_of("b")] == ["a", "b"]


def test_the_closure_has_the_same_version() -> None:
    """So a run that goes on with what was kept is not handed on again."""
    one = deployment(flow("a", "b"), flow("b", "c"), flow("c"), flow("d"))
    past = deployment(*one.closure_of("a"), revision="kept")
    assert past.version_of("a") == one.version_of("a")


# ── Effects ──────────────────────────────────────────────────────────────────────────────────


def test_effects_of_called_flows_count() -> None:
    one = deployment(flow("a", "b"), flow("b", "c"), flow("c", has_effect=True), flow("d"))
    assert [one.has_effects(name) for name in "abcd"] == [True, True, True, False]


def test_who_may_call_any_flow_may_have_effects() -> None:
    one = deployment(flow("a", "b"), flow("b", calls_any=True), flow("c"))
    assert [one.has_effects(name) for name in "abc"] == [True, True, False]


def test_every_trigger_has_a_pattern() -> None:
    rest = a_flow(name="rest", triggers=(a_trigger("user.*"), a_trigger(None, number=2)))
    assert deployment(a_flow(name="orders"), rest).patterns() == {
        "orders#1": "order.created", "rest#1": "user.*", "rest#2": ">"
    }  # fmt: skip
