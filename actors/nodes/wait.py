"""`wait`: the run sleeps, and no worker holds anything meanwhile.

In: `for`, a duration, or `until`, a moment. Out: the run goes on at its time or a moment later,
never before; no value. What is due already does not wait. Refuses waits of more than a year and
moments that cannot be read.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, Field

from actors.errors import PermanentError
from actors.nodes.durations import read_duration_ms
from actors.nodes.filling import fill_waiting
from actors.nodes.rendering import Rendering
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.step import StepContext
from actors.outcomes import Advance, Sleep

WAIT_MS_MAX: Final = 366 * 86_400_000
"""One year (SPEC 13)."""

_SECONDS_MAX: Final = 100_000_000_000
"""Numbers below are seconds since the epoch, larger ones milliseconds: the year 5138."""

_DIGITS_MAX: Final = 20
"""Python itself refuses to read numbers of thousands of digits."""

_BAD_WAIT: Final = "wait.bad_time"
_DONE: Final = Advance(binds=False)


class WaitConfig(BaseModel):
    """One of the two; each may be a template."""

    model_config = {**STRICT, "populate_by_name": True}

    for_: int | str | None = Field(default=None, alias="for")
    """How long: milliseconds, or a number with ms, s, m, h or d, like `30m`."""
    until: int | str | None = None
    """When: RFC 3339 with its offset, like `2027-01-31T09:00:00Z`, or seconds or milliseconds
    since the epoch."""


@dataclass(frozen=True, slots=True)
class WaitNode:
    """Works out when to go on."""

    content: Rendering
    is_duration: bool

    async def step_waiting(self, context: StepContext) -> Advance | Sleep:
        """Sleep; PermanentError (``wait.bad_time``) for a time that is none or too far away."""
        value = await fill_waiting(self.content, context)
        now_ms = context.world.clock.now_ms()
        due_ms = now_ms + _duration(value) if self.is_duration else _moment(value)
        if due_ms - now_ms > WAIT_MS_MAX:
            raise PermanentError("a run may wait for a year at most", reason=_BAD_WAIT)
        return Sleep(due_ms) if due_ms > now_ms else _DONE


def build_wait(config: WaitConfig, site: NodeSite) -> NodePlan:
    """Compile the time, and read it now where it is constant."""
    if (config.for_ is None) == (config.until is None):
        site.report("flow.bad_value", (), "a wait node needs 'for' or 'until', one of them")
    is_duration = config.for_ is not None
    key, value = ("for", config.for_) if is_duration else ("until", config.until)
    content = site.rendering(value, key)
    if content.is_constant and value is not None:
        _check_constant(value, key, site)
    return NodePlan(WaitNode(content, is_duration))


def _check_constant(value: int | str, key: str, site: NodeSite) -> None:
    try:
        if key == "until":
            _moment(value)
        elif _duration(value) > WAIT_MS_MAX:
            site.report("flow.bad_value", (key,), "a run may wait for a year at most")
    except PermanentError as error:
        site.report("flow.bad_value", (key,), str(error))


def _duration(value: Any) -> int:
    try:
        return read_duration_ms(value)
    except ValueError as error:
        raise PermanentError(f"'for' {error}", reason=_BAD_WAIT) from None


def _moment(value: Any) -> int:
    is_digits = isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS_MAX
    number = int(value) if is_digits else value
    if isinstance(number, int) and not isinstance(number, bool):
        return number * 1000 if number < _SECONDS_MAX else number
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PermanentError(
            "'until' must be RFC 3339 with its offset, like 2027-01-31T09:00:00Z, or a number of"
            " seconds or milliseconds since the epoch",
            reason=_BAD_WAIT,
        )
    return round(moment.timestamp() * 1000)


WAIT = NodeSpec(
    type="wait",
    summary="Lets the run sleep; nothing is held meanwhile.",
    config=WaitConfig,
    build=build_wait,
    has_effect=True,
)
