"""A run that is asked for: what the router hands to a flow's executor.

In: a delivery, or a continuation that came due. Out: a `RunRequest`, and the shared settling of one
delivery by all the runs it starts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.events import Event
from actors.flows.compiled import CompiledFlow, CompiledTrigger
from actors.outcomes import RunOutcome, Settlement
from actors.ports import Clock, Continuation, Delivery
from actors.subjects import matches_pattern

_SEVERITY: Final = (Settlement.ACK, Settlement.TERM, Settlement.NAK, Settlement.LEAVE)
"""Of what runs of one delivery say, the last one here is said. Nothing is said of a delivery that
is another worker's for one of them: giving it back would start it a third time."""


class SharedDelivery:
    """One delivery that several runs settle together: acked when each of its runs is settled.

    One run that was interrupted gives the whole delivery back; the others are then repeated too,
    and their results stay single because they carry the run's id.
    """

    __slots__ = ("_on_settled", "_open_runs", "_worst", "delivery")

    def __init__(
        self,
        delivery: Delivery,
        runs: int,
        on_settled: Callable[[Delivery], None] | None = None,
    ) -> None:
        self.delivery = delivery
        self._open_runs = runs
        self._on_settled = on_settled
        self._worst = Settlement.ACK

    def settle_one(self, settlement: Settlement) -> None:
        """Settle one run's share; the last one settles the delivery."""
        self._open_runs -= 1
        self._worst = max(self._worst, settlement, key=_SEVERITY.index)
        if self._open_runs == 0:
            self.delivery.settle(self._worst)
            if self._on_settled is not None:
                self._on_settled(self.delivery)


OURS_SECONDS: Final = 15.0
"""Half of the consumer's ack_wait: a delivery that was not kept alive for so long may be another
worker's by now."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Start the run of one flow for one event."""

    run_id: str
    event: Event
    triggers: tuple[CompiledTrigger, ...]
    """Candidates in file order; the first whose filter holds starts the run. None: a sub-run."""
    share: SharedDelivery
    hops: int = 0
    reply_to: str | None = None
    attempt: int = 1
    parent_run_id: str | None = None
    round: int = 0
    """How often the run was put off before it began."""
    leg: int = 0
    """How often it has gone on since it began."""
    retries: Mapping[str, int] = field(default_factory=dict)
    spent_ms: int = 0
    due_ms: int = 0
    """When it was to go on; 0: at once."""
    is_judged: bool = False
    """Its trigger's filter held when the run was first asked for."""
    events: tuple[Event, ...] = ()
    """Of a batch, all of them."""
    verdict: RunOutcome | None = None
    """Flow control has decided: the run ends so, without a step."""
    on_ended: Callable[[RunOutcome], None] | None = None
    """Called once the run's outcome is stored and settled, whatever it is."""

    @property
    def may_be_repeated(self) -> bool:
        """False only if certainly nobody has begun this run before."""
        return self.was_put_off or self.share.delivery.may_be_repeated

    def is_ours(self, clock: Clock) -> bool:
        """Tell whether the bus has heard of late that we work on the run's delivery."""
        return clock.monotonic() - self.share.delivery.kept_alive_at <= OURS_SECONDS

    @property
    def was_put_off(self) -> bool:
        """Whether it has waited in WORK since somebody had it first."""
        return self.leg > 0 or self.round > 0 or self.attempt > 1

    @property
    def comes_from_lane(self) -> bool:
        """Whether its flow's lane has let it through."""
        return self.on_ended is not None


def request_of(
    waiting: Continuation, flow: CompiledFlow, share: SharedDelivery
) -> RunRequest | None:
    """Turn a continuation that came due into a request; None where its trigger is gone."""
    triggers: tuple[CompiledTrigger, ...] = ()
    if waiting.trigger is not None:
        triggers = tuple(item for item in flow.triggers if _is_its(item, waiting))
        if not triggers:
            return None
    return RunRequest(
        run_id=waiting.run_id,
        event=waiting.event,
        triggers=triggers,
        share=share,
        hops=waiting.hops,
        reply_to=waiting.reply_to,
        attempt=waiting.attempt,
        parent_run_id=waiting.parent_run_id,
        round=waiting.round,
        leg=waiting.leg,
        retries=waiting.retries,
        spent_ms=waiting.spent_ms,
        due_ms=waiting.due_ms,
        is_judged=True,
        events=waiting.events,
    )


def _is_its(trigger: CompiledTrigger, waiting: Continuation) -> bool:
    """Tell whether it is the trigger that the run began with: a changed flow may have others."""
    if trigger.number != waiting.trigger:
        return False
    return trigger.pattern is None or matches_pattern(trigger.pattern, waiting.event.event_type)
