"""The `wait` node. In: durations and moments. Out: when the run goes on, or why it cannot wait."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.durations import read_duration_ms
from actors.nodes.wait import WAIT_MS_MAX
from actors.outcomes import Advance, Sleep
from tests.support.steps import Stage, a_plan, a_step, build_node, take

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
GOES_ON = Advance(binds=False)


async def slept(config: dict[str, Any], payload: Any = None) -> int | None:
    """Give for how many milliseconds the run sleeps; None: it goes on at once."""
    stage = Stage()
    outcome = await take(a_plan("wait", config), a_step(stage, payload))
    if outcome == GOES_ON:
        return None
    assert isinstance(outcome, Sleep)
    return outcome.due_ms - stage.clock.now_ms()


async def refusal(config: dict[str, Any], payload: Any = None) -> str:
    with pytest.raises(PermanentError) as caught:
        await take(a_plan("wait", config), a_step(Stage(), payload))
    assert caught.value.reason == "wait.bad_time"
    return str(caught.value)


# ── for ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        (1500, 1500), ("1500", 1500), ("500ms", 500), ("30s", 30 * SECOND), ("5m", 5 * MINUTE),
        ("5 m", 5 * MINUTE), ("1h", HOUR), ("2d", 2 * DAY), ("366d", WAIT_MS_MAX),
    ],
)  # fmt: skip
async def test_a_duration_counts_from_now(text: Any, milliseconds: int) -> None:
    assert await slept({"for": text}) == milliseconds
    assert await slept({"for": "{{payload.pause}}"}, {"pause": text}) == milliseconds


@pytest.mark.parametrize("nothing", [0, "0", "0s"])
async def test_no_time_is_no_wait(nothing: Any) -> None:
    assert await slept({"for": nothing}) is None


async def test_a_template_may_be_a_part_of_it() -> None:
    assert await slept({"for": "{{payload.minutes}}m"}, {"minutes": 3}) == 3 * MINUTE


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-5s", "1.5h", "5 weeks", "5w", "1h30m", "٣s", "9" * 5000, -1, 1.5, True, None,
     ["5s"], {"for": 5}],
)  # fmt: skip
async def test_what_is_no_duration_fails_the_step(value: Any) -> None:
    assert "'for' must be milliseconds" in await refusal({"for": "{{payload}}"}, value)


@pytest.mark.parametrize("value", [WAIT_MS_MAX + 1, "367d", "999999999d"])
async def test_more_than_a_year_fails_the_step(value: Any) -> None:
    assert "for a year at most" in await refusal({"for": "{{payload}}"}, value)


def test_durations_are_not_read_from_digits_of_other_scripts() -> None:
    with pytest.raises(ValueError, match="must be milliseconds"):
        read_duration_ms("٣٠")


# ── until ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "write",
    [
        lambda at_ms: at_ms,
        str,
        lambda at_ms: at_ms // 1000,
        lambda at_ms: str(at_ms // 1000),
    ],
    ids=["milliseconds", "text of milliseconds", "seconds", "text of seconds"],
)
async def test_a_moment_may_be_a_number_since_the_epoch(write: Any) -> None:
    at_ms = (Stage().clock.now_ms() // 1000 + 90) * 1000
    slept_ms = await slept({"until": "{{payload.at}}"}, {"at": write(at_ms)})
    assert slept_ms == at_ms - Stage().clock.now_ms()


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2027-01-31T09:00:00Z", 1_801_386_000_000),
        ("2027-01-31T09:00:00.250Z", 1_801_386_000_250),
        ("2027-01-31T10:00:00+01:00", 1_801_386_000_000),
        ("2027-01-31 04:00:00-05:00", 1_801_386_000_000),
    ],
)
async def test_a_moment_may_be_written_out(text: str, at_ms: int) -> None:
    stage = Stage()
    await stage.clock.advance((at_ms - 30 * DAY - stage.clock.now_ms()) / 1000)
    for config in ({"until": text}, {"until": "{{payload}}"}):
        assert await take(a_plan("wait", config), a_step(stage, text)) == Sleep(at_ms)


@pytest.mark.parametrize(
    "past", ["2020-01-01T00:00:00Z", 0, 1_000_000, -5, "0001-01-01T00:00:00+14:00"]
)
async def test_what_is_past_does_not_wait(past: Any) -> None:
    assert await slept({"until": "{{payload}}"}, past) is None


async def test_now_itself_does_not_wait() -> None:
    assert await slept({"until": "{{payload}}"}, Stage().clock.now_ms()) is None
    assert await slept({"until": "{{payload}}"}, Stage().clock.now_ms() + 1) == 1


@pytest.mark.parametrize(
    "value",
    ["", "tomorrow", "2027-01-31", "2027-01-31T09:00:00", "2027-02-30T00:00:00Z", "9" * 5000, 1.5,
     True, None, [1]],
)  # fmt: skip
async def test_what_is_no_moment_fails_the_step(value: Any) -> None:
    assert "RFC 3339" in await refusal({"until": "{{payload}}"}, value)


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-14:00", 10**18, "99999999999999999999"])
async def test_a_moment_too_far_away_fails_the_step(value: Any) -> None:
    assert "for a year at most" in await refusal({"until": "{{payload}}"}, value)


async def test_state_may_say_how_long() -> None:
    stage = Stage()
    step = a_step(stage)
    await stage.state.put(step.state_scope, "pause", "5m")
    outcome = await take(a_plan("wait", {"for": "{{state.pause}}"}), step)
    assert outcome == Sleep(stage.clock.now_ms() + 5 * MINUTE)


# ── What the doctor says ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, ()),
        ({"for": "5m", "until": 5}, ()),
        ({"for": "soon"}, ("for",)),
        ({"for": -1}, ("for",)),
        ({"for": "367d"}, ("for",)),
        ({"for": 1.5}, ("for",)),
        ({"until": "2027-01-31T09:00:00"}, ("until",)),
        ({"until": "tomorrow"}, ("until",)),
    ],
)
def test_wrong_config_is_found(config: dict[str, Any], path: tuple[str, ...]) -> None:
    (finding,) = build_node("wait", config).findings
    assert (finding.code, finding.path) == ("flow.bad_value", ("config", *path))


def test_a_key_it_does_not_know_is_found() -> None:
    (finding,) = build_node("wait", {"fro": "5m"}).findings
    assert (finding.code, finding.hint) == ("flow.unknown_key", "did you mean 'for'?")


def test_what_only_a_run_can_tell_is_left_to_it() -> None:
    assert build_node("wait", {"for": "{{payload.pause}}"}).findings == []
    assert build_node("wait", {"until": "2020-01-01T00:00:00Z"}).findings == []
