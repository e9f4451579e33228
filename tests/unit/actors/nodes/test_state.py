"""The `state` node and `state` in programs. In: a store, raced. Out: values, and no lost update."""

from typing import Any

import pytest

from actors.errors import PermanentError, TransientError
from actors.nodes.spec import Reference
from actors.nodes.state_access import RACES_MAX
from actors.nodes.state_view import KEYS_MAX, StateView
from actors.nodes.step import StepContext, WaitingNode
from actors.outcomes import Advance
from actors.ports import StateEntry, StateScope
from actors.testing.clock import VirtualClock
from actors.testing.state import MemoryStateStore
from tests.support.steps import Stage, a_plan, a_step, build_node, take, value_of


class RacedStore(MemoryStateStore):
    """Somebody else writes ``key`` just before each of the first ``races`` puts to it."""

    def __init__(self, key: str, races: int, write: Any) -> None:
        super().__init__(VirtualClock())
        self.key, self.races, self.write = key, races, write

    async def put(self, scope: StateScope, key: str, value: Any, **options: Any) -> bool:
        if key == self.key and self.races > 0:
            self.races -= 1
            entry = await self.get(scope, key)
            await super().put(scope, key, self.write(entry.value))
        return await super().put(scope, key, value, **options)


async def stored(stage: Stage, step: StepContext, key: str) -> Any:
    return (await stage.state.get(step.state_scope, key)).value


async def test_set_get_and_delete() -> None:
    stage = Stage()
    step = a_step(stage, {"n": 5})
    put = a_plan("state", {"action": "set", "key": "k{{payload.n}}", "value": "{{payload}}"})
    assert await take(put, step) == Advance({"n": 5})
    get = a_plan("state", {"action": "get", "key": "k5", "output": "found"})
    assert await take(get, step) == Advance({"n": 5})
    assert get.output == Reference("found", ("output",))
    delete = a_plan("state", {"action": "delete", "key": "k5"})
    step.iteration += 1
    assert await take(delete, step) == Advance(binds=False)
    assert await take(get, step) == Advance(None)


async def test_state_is_of_the_session_the_team_or_the_tenant() -> None:
    stage = Stage()
    plan = a_plan("state", {"action": "set", "key": "k", "value": 1})
    for payload in ({"session_id": "s1", "team_id": "t1"}, {"team_id": "t1"}, {}):
        await take(plan, a_step(stage, payload))
    for scope in (
        StateScope("demo", "t1", "s1"), StateScope("demo", "t1"), StateScope("demo")
    ):  # fmt: skip
        assert (await stage.state.get(scope, "k")).value == 1
    assert (await stage.state.get(StateScope("other"), "k")).value is None


async def test_ttl_is_seconds() -> None:
    stage = Stage()
    step = a_step(stage)
    await take(a_plan("state", {"action": "set", "key": "k", "value": 1, "ttl": 10}), step)
    await stage.clock.advance(9.9)
    assert await stored(stage, step, "k") == 1
    await stage.clock.advance(0.2)
    assert await stored(stage, step, "k") is None


async def test_set_wins_after_losing_races() -> None:
    stage = Stage(state=RacedStore("k", 3, lambda _: "theirs"))
    step = a_step(stage)
    await take(a_plan("state", {"action": "set", "key": "k", "value": "ours"}), step)
    assert await stored(stage, step, "k") == "ours"


@pytest.mark.parametrize(
    ("node_type", "config"),
    [
        ("state", {"action": "set", "key": "k", "value": 1}),
        ("script", {"script": "state.set('k', state.get('k', 0) + 1)"}),
    ],
)
async def test_endless_races_are_transient(node_type: str, config: dict[str, Any]) -> None:
    stage = Stage(state=RacedStore("k", RACES_MAX, lambda v: (v or 0) + 1))
    with pytest.raises(TransientError) as caught:
        await take(a_plan(node_type, config), a_step(stage))
    assert caught.value.reason == "state.conflict"


@pytest.mark.parametrize("key", ["", "x" * 257, "é" * 129])
async def test_bad_key_is_refused(key: str) -> None:
    for config in (
        {"action": "get", "key": "{{payload}}"},
        {"action": "set", "key": "{{payload}}", "value": 1},
    ):
        with pytest.raises(PermanentError) as caught:
            await take(a_plan("state", config), a_step(Stage(), key))
        assert caught.value.reason == "state.key"


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"action": "set", "key": "k"}, ("value",)),
        ({"action": "get", "key": "k", "value": 1}, ("value",)),
        ({"action": "get", "key": "k", "ttl": 1}, ("ttl",)),
        ({"action": "delete", "key": "k", "output": "x"}, ("output",)),
        ({"action": "get", "key": ""}, ("key",)),
        ({"action": "increment", "key": "k"}, ("action",)),
        ({"action": "set", "key": "k", "value": 1, "ttl": 0}, ("ttl",)),
    ],
)
def test_wrong_config_is_found(config: dict[str, Any], path: tuple[str, ...]) -> None:
    (finding,) = build_node("state", config).findings
    assert finding.path == ("config", *path)


# ── `state` in scripts ───────────────────────────────────────────────────────────────────────


async def test_script_reads_and_writes_the_state() -> None:
    stage = Stage()
    step = a_step(stage)
    plan = a_plan("script", {"script": "let n = state.get('n', 0) + 1; state.set('n', n); n"})
    assert isinstance(plan.behaviour, WaitingNode)
    assert await value_of(plan, step) == 1
    step.iteration += 1
    assert await value_of(plan, step) == 2
    assert await stored(stage, step, "n") == 2
    assert "state" not in dict(step.scope)


async def test_script_without_state_never_waits() -> None:
    plan = a_plan("script", {"script": "'state'"})
    assert not isinstance(plan.behaviour, WaitingNode)


async def test_failed_script_writes_nothing() -> None:
    stage = Stage()
    step = a_step(stage)
    with pytest.raises(PermanentError):
        await take(a_plan("script", {"script": "state.set('n', 1); throw 'no'"}), step)
    assert await stored(stage, step, "n") is None
    assert "state" not in dict(step.scope)


async def test_no_update_is_lost_in_a_race() -> None:
    stage = Stage(state=RacedStore("n", 3, lambda v: (v or 0) + 10))
    step = a_step(stage)
    plan = a_plan("script", {"script": "state.set('n', state.get('n', 0) + 1); state.get('n')"})
    assert await value_of(plan, step) == 31
    assert await stored(stage, step, "n") == 31


async def test_race_on_the_second_key_does_not_count_the_first_twice() -> None:
    stage = Stage(state=RacedStore("b", 2, lambda v: (v or 0) + 10))
    step = a_step(stage)
    text = "state.set('a', state.get('a', 0) + 1); state.set('b', state.get('b', 0) + 1);"
    await take(a_plan("script", {"script": text}), step)
    assert await stored(stage, step, "a") == 1
    assert await stored(stage, step, "b") == 21


async def test_removed_key_is_gone() -> None:
    stage = Stage()
    step = a_step(stage)
    await stage.state.put(step.state_scope, "n", 1)
    await take(a_plan("script", {"script": "state.remove('n'); state.get('n')"}), step)
    assert await stored(stage, step, "n") is None


async def test_script_may_touch_64_keys() -> None:
    plan = a_plan("script", {"script": "for i in 0..payload { state.get(`k${i}`); } payload"})
    assert await value_of(plan, a_step(Stage(), KEYS_MAX)) == KEYS_MAX
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), KEYS_MAX + 1))
    assert caught.value.reason == "state.keys"


async def test_script_may_write_64_keys() -> None:
    plan = a_plan("script", {"script": "for i in 0..payload { state.set(`k${i}`, i); }"})
    await take(plan, a_step(Stage(), KEYS_MAX))
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), KEYS_MAX + 1))
    assert caught.value.reason == "state.keys"


def test_view_shows_its_own_writes() -> None:
    view = StateView({"a": StateEntry(1, 1), "b": StateEntry(None, 0)})
    view.set("b", [1])
    view.remove("a")
    assert (view.get("a"), view.get("b")) == (None, [1])
    assert view.contains("b")
    assert not view.contains("a")
    assert view.writes["b"] == [1]


@pytest.mark.parametrize("key", ["", "x" * 257])
def test_view_refuses_bad_keys(key: str) -> None:
    view = StateView({})
    with pytest.raises(PermanentError) as caught:
        view.set(key, 1)
    assert caught.value.reason == "state.key"
    with pytest.raises(PermanentError):
        view.remove(key)


def test_view_refuses_what_is_no_json() -> None:
    with pytest.raises(PermanentError) as caught:
        StateView({}).set("k", float("nan"))
    assert caught.value.reason == "not_json"


async def test_the_same_step_again_writes_nothing_again() -> None:
    stage = Stage()
    step = a_step(stage)
    plan = a_plan("state", {"action": "set", "key": "n", "value": 1})
    await take(plan, step)
    await stage.state.put(step.state_scope, "n", 2)
    await take(plan, step)
    assert await stored(stage, step, "n") == 2


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"action": "set", "key": "k", "value": 5}, {"key": "k", "value": 5}),
        ({"action": "get", "key": "k"}, {"key": "k"}),
        ({"action": "delete", "key": "k"}, {"key": "k"}),
    ],
)
async def test_its_record_is_shown_the_key(config: dict[str, Any], shown: dict[str, Any]) -> None:
    context = a_step(Stage())
    await take(a_plan("state", config), context)
    assert context.given == shown
