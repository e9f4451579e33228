"""What nobody need be told again: steps of a run that comes by a second time are silent."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.step import NoStepJournal, StepContext
from actors.observations import FlowLogged
from actors.outcomes import Advance
from tests.support.scripts import MORE
from tests.support.steps import Stage, a_plan, a_step, take

PRINTS = 'print("one"); debug("two"); payload.n + 1'


class Replaying(NoStepJournal):
    """The journal of a run that has been further than it is now."""

    is_replaying = True


def a_repeated_step(stage: Stage) -> StepContext:
    step = a_step(stage, {"n": 1})
    step.journal = Replaying()
    return step


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "log": ("log", {"message": "n is {{payload.n}}"}, {}),
    "print": ("script", {"script": PRINTS}, {}),
    "print with state": ("script", {"script": f'state.get("k"); {PRINTS}'}, {}),
    "print in the pool": ("script", {"script": PRINTS}, {"script_limits": MORE}),
    "answer": ("http_response", {"status": 201, "body": "{{payload.n}}"}, {}),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_step_is_heard_the_first_time_only(name: str) -> None:
    node_type, config, site = CASES[name]
    plan = a_plan(node_type, config, **site)
    first, again = Stage(), Stage()
    outcome = await take(plan, a_step(first, {"n": 1}))
    assert isinstance(outcome, Advance)
    assert await take(plan, a_repeated_step(again)) == outcome
    assert first.observer.of(FlowLogged) or first.answers.sent
    assert again.observer.of(FlowLogged) == []
    assert not again.answers.sent


async def test_what_cannot_be_said_fails_again() -> None:
    """Or the repeated run would take another way than the first one."""
    plan = a_plan("http_response", {"status": "{{payload.status}}"})
    stage = Stage()
    step = a_step(stage, {"status": 99})
    step.journal = Replaying()
    with pytest.raises(PermanentError, match="99 is no status"):
        await take(plan, step)
