"""Writes to the state as the journal keeps them: what was planned is what is applied."""

import json
from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.nodes.state_view import REMOVED
from actors.nodes.state_write import BLIND, StateWrite
from actors.nodes.state_writes import apply_writes, plan_writes
from actors.nodes.step import StepContext
from actors.ports import StateEntry, StateScope
from tests.support.steps import Stage, a_step

DEMO = StateScope("demo")


@pytest.mark.parametrize(
    "write",
    [
        StateWrite("n", 7),
        StateWrite("n", 2**60 + 1, revision=12),
        StateWrite("n", {"a": [1, None, "é"]}, revision=0, ttl_seconds=1.5),
        StateWrite("n", is_removed=True, revision=3),
        StateWrite("n", None),
    ],
    ids=lambda write: json.dumps(write.as_document()),
)
def test_a_write_comes_back_from_its_document(write: StateWrite) -> None:
    document = json.loads(json.dumps(write.as_document()))
    assert StateWrite.from_document(document) == write


def test_a_document_of_another_form_is_refused() -> None:
    with pytest.raises(TypeError):
        StateWrite.from_document({"key": "n", "colour": "blue"})


def test_writes_hold_over_what_was_read() -> None:
    loaded = {"read": StateEntry(1, 5), "absent": StateEntry(None, 0), "gone": StateEntry(2, 8)}
    written = {"read": 2, "absent": "new", "gone": REMOVED, "unread": 3}
    assert plan_writes(written, loaded) == (
        StateWrite("read", 2, revision=5),
        StateWrite("absent", "new", revision=0),
        StateWrite("gone", None, is_removed=True, revision=8),
        StateWrite("unread", 3, revision=BLIND),
    )


def test_what_was_only_read_is_not_written() -> None:
    assert plan_writes({}, {"read": StateEntry(1, 5)}) == ()


async def values(step: StepContext, *keys: str) -> list[Any]:
    return [(await step.world.state.get(step.state_scope, key)).value for key in keys]


async def test_writes_are_applied_in_their_order() -> None:
    step = a_step(Stage())
    await step.world.state.put(DEMO, "gone", 1)
    writes = (StateWrite("a", 1), StateWrite("a", 2), StateWrite("gone", is_removed=True))
    assert await apply_writes(step, writes, 0) is None
    assert await values(step, "a", "gone") == [2, None]


async def test_the_first_that_others_came_before_ends_it() -> None:
    step = a_step(Stage())
    seen = await step.world.state.get(DEMO, "b")
    await step.world.state.put(DEMO, "b", "theirs")
    writes = (
        StateWrite("a", 1), StateWrite("b", 2, revision=seen.revision), StateWrite("c", 3)
    )  # fmt: skip
    assert await apply_writes(step, writes, 0) is writes[1]
    assert await values(step, "a", "b", "c") == [1, "theirs", None]


async def test_what_was_applied_is_not_applied_again() -> None:
    """Whatever has been written since: a repeat after a crash changes nothing."""
    stage = Stage()
    writes = (StateWrite("a", "ours"), StateWrite("b", "ours", revision=0))
    assert await apply_writes(a_step(stage), writes, 0) is None
    for key in ("a", "b"):
        await stage.state.put(DEMO, key, "theirs")
    assert await apply_writes(a_step(stage), writes, 0) is None
    assert await values(a_step(stage), "a", "b") == ["theirs", "theirs"]


@pytest.mark.parametrize("moved", ["race", "iteration", "step_id", "run_id"])
async def test_another_steps_write_is_another_write(moved: str) -> None:
    stage = Stage()
    step, other = a_step(stage), a_step(stage)
    race = 1 if moved == "race" else 0
    if moved != "race":
        setattr(other, moved, {"iteration": 2, "step_id": "other", "run_id": "run-2"}[moved])
    await apply_writes(step, (StateWrite("a", "first"),), 0)
    await apply_writes(other, (StateWrite("a", "second"),), race)
    assert await values(step, "a") == ["second"]


async def test_two_writes_of_one_step_are_two() -> None:
    step = a_step(Stage())
    await apply_writes(step, (StateWrite("a", 1), StateWrite("a", 2)), 0)
    await apply_writes(step, (StateWrite("a", 1), StateWrite("a", 2)), 0)
    assert await values(step, "a") == [2]


async def test_a_write_with_a_time_is_forgotten_after_it() -> None:
    stage = Stage()
    await apply_writes(a_step(stage), (StateWrite("a", 1, ttl_seconds=60),), 0)
    await stage.clock.advance(61)
    assert await values(a_step(stage), "a") == [None]


async def test_a_store_that_is_away_is_told() -> None:
    stage = Stage()

    async def away(*_args: Any, **_more: Any) -> bool:
        raise UnavailableError("away")

    stage.state.put = away
    with pytest.raises(UnavailableError):
        await apply_writes(a_step(stage), (StateWrite("a", 1),), 0)
