"""Under any order of crashes and completions a delivery settles at most once, and what nobody
settled comes back until it is."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.flows.compiled import CompiledFlow
from actors.ids import run_id
from actors.kernel.observations import ActorCrashed
from actors.nodes.step import StepContext
from actors.outcomes import Advance, Settlement, StepOutcome
from actors.runs.request import SharedDelivery
from actors.tenants.tree import QUARANTINE_SECONDS
from tests.support.builders import Waiting, Yard, a_node, a_trigger, an_event, gives
from tests.support.estate import Estate, deployed, versioned

EVENTS = 4
ROUNDS_MAX = 12
ACK_WAIT_SECONDS = 30.0
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("emit", "open")), st.integers(0, EVENTS - 1)),
        st.tuples(st.sampled_from(("crash", "away", "back", "expire", "deploy")), st.just(0)),
        st.tuples(st.just("advance"), st.sampled_from((1, 20, 70))),
    ),
    max_size=16,
)


class Boom(Exception):  # noqa: N818
    """What a sink raises that nobody foresaw."""


class Drama:
    """One tenant with two flows of which one waits, and the hands that disturb it."""

    def __init__(self) -> None:
        self.yard = Yard()
        self.estate = Estate(self.yard)
        self.doors = [asyncio.Event() for _ in range(EVENTS)]
        self.emitted: set[int] = set()
        self.crashes = 0
        self.revision = 0
        self._store = self.yard.results.publish_all
        self.yard.results.publish_all = self._publish_all  # type: ignore[method-assign]

    async def _publish_all(self, results: Sequence[Any]) -> None:
        if self.crashes:
            self.crashes -= 1
            raise Boom
        await self._store(results)

    def flows(self) -> tuple[CompiledFlow, CompiledFlow]:
        async def wait(context: StepContext) -> StepOutcome:
            await self.doors[int(context.event.id)].wait()
            return Advance()

        version = str(self.revision % 2)
        slow = versioned(version, a_node("wait", Waiting(wait)), name="slow")
        quick = versioned("1", a_node("quick", gives()), name="quick")
        return slow, quick

    async def deploy(self) -> None:
        self.revision += 1
        await self.estate.deploy(deployed(*self.flows(), revision=f"r{self.revision}"))

    async def play(self, word: str, number: int) -> None:
        match word:
            case "emit":
                if number not in self.emitted:
                    self.emitted.add(number)
                    self.estate.stream().add(an_event(str(number)))
            case "open":
                self.doors[number].set()
            case "crash":
                self.crashes += 1
            case "away" | "back":
                self.yard.results.is_available = word == "back"
            case "expire":
                self.estate.stream().redeliver_unsettled()
            case "deploy":
                await self.deploy()
            case _:
                await self.yard.clock.advance(number)
        await self.yard.clock.settle()

    async def end_well(self) -> None:
        """Let everything come right, and every ack wait be over as often as it takes."""
        self.crashes = 0
        self.yard.results.is_available = True
        for door in self.doors:
            door.set()
        for _ in range(ROUNDS_MAX):
            await self.yard.clock.advance(QUARANTINE_SECONDS + 30)
            if not self.estate.stream().unsettled:
                return
            # What the worker keeps alive does not come back: it must not forget to settle it.
            self.estate.stream().redeliver_unsettled(idle_seconds=ACK_WAIT_SECONDS)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_whatever_happens_every_event_is_settled_once_and_has_its_results(
    operations: list[tuple[str, int]],
) -> None:
    async def scenario() -> None:
        drama = Drama()
        await drama.estate.host.start()
        await drama.deploy()
        for word, number in operations:
            await drama.play(word, number)
        await drama.end_well()
        stream, yard = drama.estate.stream(), drama.yard
        assert stream.unsettled == 0
        stored = {published.result.run_id for published in yard.results.stored}
        wanted = {run_id(str(n), flow) for n in drama.emitted for flow in ("slow", "quick")}
        assert stored == wanted
        assert yard.letters.parked == []
        # A second word about a delivery raises in the twin and would show as a crash.
        assert {type(seen.error) for seen in yard.observer.of(ActorCrashed)} <= {Boom}
        acked = [d for d in stream.handed_out if d.settlement is Settlement.ACK]
        assert len({d.sequence for d in acked}) == len(drama.emitted)
        await drama.estate.until(drama.estate.host.drain())

    asyncio.run(scenario())


@given(st.lists(st.sampled_from([Settlement.ACK, Settlement.NAK]), min_size=1, max_size=9))
def test_a_shared_delivery_is_settled_by_its_last_run_and_acked_only_by_all(
    settlements: list[Settlement],
) -> None:
    async def scenario() -> None:
        delivery = Yard().delivered()
        share = SharedDelivery(delivery, len(settlements))
        for settlement in settlements:
            assert delivery.settlement is None
            share.settle_one(settlement)
        is_acked = Settlement.NAK not in settlements
        assert delivery.settlement is (Settlement.ACK if is_acked else Settlement.NAK)

    asyncio.run(scenario())


def test_the_flows_of_the_drama_take_its_events() -> None:
    async def scenario() -> None:
        assert {flow.triggers for flow in Drama().flows()} == {
            (a_trigger(target="wait"),), (a_trigger(target="quick"),)
        }  # fmt: skip

    asyncio.run(scenario())
