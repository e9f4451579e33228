"""The `event` node. In: types and payloads. Out: envelopes at the publisher."""

from typing import Any

import pytest

from actors.errors import PermanentError, UnavailableError
from actors.events import correlation_of
from actors.nodes.spec import Reference
from tests.support.steps import Stage, a_plan, a_step, build_node, take, value_of

PAID = {"event_type": "order.paid", "payload": {"id": "{{payload.id}}"}}


async def test_event_is_published_under_the_key_of_its_step() -> None:
    stage = Stage()
    value = await value_of(a_plan("event", PAID), a_step(stage, {"id": 7}, hops=3))
    assert value == {"event_id": "evt-1", "event_type": "order.paid"}
    (envelope,) = stage.publisher.stored
    assert envelope.tenant == "demo"
    assert envelope.message_id == "run-1:step:1"
    assert envelope.hops == 4
    assert envelope.reply_to is None
    event = envelope.event
    assert (event.event_type, event.source) == ("order.paid", "flow:orders")
    assert event.payload == {"id": 7}
    assert event.timestamp == stage.clock.now_ms()
    assert event.metadata == {"causation_id": "evt-0", "correlation_id": "evt-0"}


async def test_repeated_step_is_the_same_event() -> None:
    stage = Stage()
    plan = a_plan("event", PAID)
    first = await value_of(plan, a_step(stage, {"id": 7}))
    assert await value_of(plan, a_step(stage, {"id": 7})) == first
    assert len(stage.publisher.stored) == 1


async def test_trace_goes_on() -> None:
    stage = Stage()
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await take(a_plan("event", PAID), a_step(stage, {"id": 1}, metadata={"traceparent": trace}))
    metadata = stage.publisher.stored[0].event.metadata
    assert metadata is not None
    assert metadata["traceparent"] == trace


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        ("order-7", "order-7"),
        (None, "evt-0"),
        ("x" * 129, "evt-0"),
        ("a\nb", "evt-0"),
        ("", "evt-0"),
        (7, "evt-0"),
    ],
)
async def test_what_comes_of_an_event_has_its_correlation_id(given: Any, handed_on: str) -> None:
    stage = Stage()
    metadata = {} if given is None else {"correlation_id": given}
    await take(a_plan("event", PAID), a_step(stage, {"id": 1}, metadata=metadata))
    assert correlation_of(stage.publisher.stored[0].event) == handed_on


async def test_its_record_is_shown_what_it_emits() -> None:
    context = a_step(Stage(), {"id": 1})
    await take(a_plan("event", PAID), context)
    assert context.given["event_type"] == "order.paid"


async def test_chain_of_events_ends() -> None:
    stage = Stage()
    with pytest.raises(PermanentError) as caught:
        await take(a_plan("event", PAID), a_step(stage, {"id": 1}, hops=32))
    assert caught.value.reason == "event_loop"
    assert stage.publisher.stored == []
    await take(a_plan("event", PAID), a_step(stage, {"id": 1}, hops=31))
    assert stage.publisher.stored[0].hops == 32


async def test_bus_that_is_away_fails_the_step() -> None:
    stage = Stage()
    stage.publisher.is_available = False
    with pytest.raises(UnavailableError):
        await take(a_plan("event", PAID), a_step(stage, {"id": 1}))


@pytest.mark.parametrize("event_type", ["a.result", "timer.x", "Email", "email.sent", "", "a..b"])
async def test_type_that_a_flow_may_not_emit_is_refused(event_type: str) -> None:
    (finding,) = build_node("event", {"event_type": event_type}).findings
    assert (finding.code, finding.path) == ("flow.bad_event_type", ("config", "event_type"))
    plan = a_plan("event", {"event_type": "{{payload}}"})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), event_type))
    assert caught.value.reason == "event.bad_type"


async def test_too_large_payload_is_refused() -> None:
    plan = a_plan("event", {"event_type": "a", "payload": ["{{payload}}"] * 4})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), "x" * 200_000))
    assert caught.value.reason == "too_large"


def test_constant_type_is_known_before_running() -> None:
    assert a_plan("event", PAID).emits == Reference("order.paid", ("event_type",))
    assert a_plan("event", {"event_type": "{{x}}"}).emits is None


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"payload": 1}, "flow.missing_key"),
        ({"event_type": "a", "payloud": 1}, "flow.unknown_key"),
        ({"event_type": "a", "provider": "p", "action": "send"}, "flow.bad_value"),
        ({"provider": "p"}, "flow.bad_value"),
        ({"action": "send"}, "flow.bad_value"),
    ],
)
def test_neither_an_event_nor_an_action_is_refused(config: dict[str, Any], code: str) -> None:
    assert code in [finding.code for finding in build_node("event", config).findings]
