"""The shape of flows. In: edges. Out: what is reachable, what ends, what never does."""

from hypothesis import given
from hypothesis import strategies as st

from actors.flows.graph import Edge, FlowGraph

NAMES = ("a", "b", "c", "d", "e")


def graph(*ways: str, roots: tuple[str, ...] = ("a",)) -> FlowGraph:
    """Ways like ``ab``; ``a.`` ends at ``a``."""
    edges = tuple(Edge(w[0], None if w[1] == "." else w[1], "next") for w in ways)
    return FlowGraph(NAMES, edges, roots)


def test_only_what_roots_lead_to_is_reachable() -> None:
    assert graph("ab", "bc", "c.", "de").reachable() == {"a", "b", "c"}
    assert graph("ab", roots=("x", "d")).reachable() == {"d"}


def test_trigger_edges_are_no_ways() -> None:
    drawn = FlowGraph(NAMES, (Edge("trigger 1", "a", "trigger"), Edge("a", None, "next")), ("a",))
    assert drawn.reachable() == {"a"}
    assert drawn.ending() == {"a"}


def test_ending_may_be_asked_without_some_nodes() -> None:
    drawn = graph("ab", "b.", "ac", "c.")
    assert drawn.ending() == {"a", "b", "c"}
    assert drawn.ending(without=frozenset({"b"})) == {"a", "c"}
    assert drawn.ending(without=frozenset({"b", "c"})) == frozenset()


def test_unknown_target_counts_as_an_end() -> None:
    assert graph("ab", "bx").ending() == {"a", "b"}


def test_loops_are_told_once_each() -> None:
    assert graph("ab", "bc", "cb").endless_loops() == [("b", "c")]
    assert graph("aa").endless_loops() == [("a",)]
    two = graph("ab", "ba", "cd", "dc", roots=("a", "c"))
    assert two.endless_loops() == [("a", "b"), ("c", "d")]


def test_node_behind_a_told_loop_is_not_told_again() -> None:
    drawn = graph("bc", "cb", "ab", "db", roots=("b", "a", "d"))
    assert drawn.endless_loops() == [("b", "c")]


def test_loop_with_an_exit_or_out_of_reach_is_none() -> None:
    assert graph("ab", "ba", "b.").endless_loops() == []
    assert graph("a.", "bc", "cb").endless_loops() == []


@given(st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from((*NAMES, None)))))
def test_every_reachable_node_ends_or_a_loop_is_told(ways: set[tuple[str, str | None]]) -> None:
    complete = ways | {(n, None) for n in NAMES if n not in {s for s, _ in ways}}
    drawn = FlowGraph(NAMES, tuple(Edge(s, t, "next") for s, t in complete), ("a",))
    stuck = drawn.reachable() - drawn.ending()
    loops = drawn.endless_loops()
    assert bool(stuck) is bool(loops)
    for loop in loops:
        assert set(loop) <= stuck
        assert all((s, t) in complete for s, t in zip(loop, (*loop[1:], loop[0]), strict=True))
