"""Runs one flow here and now, without a bus: for ``flow run``, for flow tests, for tries.

In: a compiled flow, its neighbours, an event, an HttpCaller. Out: a `LocalRun` with everything the
run did. Events, continuations and answers stay in memory; only HTTP calls reach the world.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.errors import NodeError
from actors.events import Event
from actors.flows.compiled import CompiledFlow
from actors.ids import run_id
from actors.nodes.step import World
from actors.observations import FlowLogged
from actors.outcomes import Answer, Failed, RunError, RunOutcome, Settlement
from actors.ports import (
    Clock,
    Continuation,
    HttpCaller,
    Ids,
    NoProviderActions,
    NoSecrets,
    ProviderActions,
    Secrets,
    StateStore,
)
from actors.runs.begin import RunSeat, choose_trigger, resume
from actors.runs.pause import Pause, continuation_of
from actors.runs.request import RunRequest, SharedDelivery, request_of
from actors.runs.run import Run
from actors.runs.walk import Walker
from actors.subjects import reply_subject
from actors.tenants.deployment import Deployment
from actors.tenants.routing import RoutingTable
from actors.testing.answers import MemoryAnswers
from actors.testing.continuations import MemoryContinuations
from actors.testing.journal import MemoryJournal
from actors.testing.observer import RecordingObserver
from actors.testing.publisher import MemoryPublisher
from actors.testing.scripts import InlineScripts
from actors.testing.state import MemoryStateStore


@dataclass(slots=True)
class LocalDelivery:
    """A delivery nobody else waits for."""

    event: Event
    kept_alive_at: float
    reply_to: str | None = None
    sequence: int = 1
    num_delivered: int = 1
    may_be_repeated: bool = False
    hops: int = 0
    continuation: Continuation | None = None

    def settle(self, settlement: Settlement) -> None:
        """Need no settling."""

    def keep_alive(self) -> None:
        """Need no keeping alive."""


@dataclass(frozen=True, slots=True)
class LocalRun:
    """What a run did. ``outcome`` None: no trigger of the flow takes this event."""

    outcome: RunOutcome | None
    trigger: str = ""
    path: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    emitted: tuple[Event, ...] = ()
    started: tuple[Continuation, ...] = ()
    logged: tuple[FlowLogged, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class LocalWorld:
    """Where a local run takes place. Without a state of its own each run has a fresh one."""

    env: str
    tenant: str
    http: HttpCaller
    clock: Clock
    ids: Ids
    state: StateStore | None = None
    secrets: Secrets = field(default_factory=NoSecrets)
    actions: ProviderActions = field(default_factory=NoProviderActions)


async def run_locally(
    flow: CompiledFlow, flows: Mapping[str, CompiledFlow], event: Event, place: LocalWorld
) -> LocalRun:
    """Run one flow for one event as a worker would."""
    publisher, continuations = MemoryPublisher(), MemoryContinuations()
    answers, observer = MemoryAnswers(), RecordingObserver()
    world = World(
        env=place.env,
        publisher=publisher,
        continuations=continuations,
        state=place.state or MemoryStateStore(place.clock),
        http=place.http,
        answers=answers,
        observer=observer,
        clock=place.clock,
        ids=place.ids,
        scripts=InlineScripts(),
        secrets=place.secrets,
        actions=place.actions,
        journal=MemoryJournal(),
    )
    request = _request(flow, event, place.clock)
    if request is None:
        return LocalRun(None)
    run, outcome = await _run(request, RunSeat(place.tenant, flow, world, has_effects=True), flows)
    sent = answers.sent.get(request.reply_to or "", [])
    return LocalRun(
        outcome=outcome,
        trigger=run.trigger,
        path=tuple(run.path),
        answers=tuple(message for message in sent if isinstance(message, Answer)),
        emitted=tuple(envelope.event for envelope in publisher.stored),
        started=tuple(continuations.scheduled.values()),
        logged=tuple(observer.of(FlowLogged)),
    )


async def _run(
    request: RunRequest, seat: RunSeat, flows: Mapping[str, CompiledFlow]
) -> tuple[Run, RunOutcome | None]:
    """Take a run through all its legs; what it waits for is taken to be there at once."""
    while True:
        run = await resume(request, seat)
        try:
            starts = choose_trigger(run)
            outcome = await Walker(flows).walk(run) if starts else None
        except NodeError as error:
            return run, Failed(RunError(error.reason, None, str(error)))
        if not isinstance(outcome, Pause):
            return run, outcome
        continued = request_of(continuation_of(run, outcome), seat.flow, request.share)
        if continued is None:
            raise AssertionError("the trigger that started the run is one of its flow's")
        request = continued


def _request(flow: CompiledFlow, event: Event, clock: Clock) -> RunRequest | None:
    table = RoutingTable(Deployment("local", "local", {flow.name: flow}))
    matches = table.match(event.event_type)
    if not matches:
        return None
    reply_to = reply_subject("local", event.id)
    delivery = LocalDelivery(event, clock.monotonic(), reply_to)
    return RunRequest(
        run_id=run_id(event.id, flow.name),
        event=event,
        triggers=matches[0].triggers,
        share=SharedDelivery(delivery, 1),
        reply_to=reply_to,
        events=() if flow.control is None or flow.control.batch is None else (event,),
    )
