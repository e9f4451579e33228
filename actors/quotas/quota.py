"""The quota of one tenant in one process: its plan, its paces, and what it has used.

In: what the tenant is about to do. Out: nothing, or QuotaExceededError with the exact time to come
again. A step that is refused so has its run put off (`actors.runs.way`) and is granted when it
comes back: its place was booked. Booking ends an hour ahead: past that the step fails, as a
TransientError, so that what is put off stays bounded.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from actors.errors import QuotaExceededError, TransientError
from actors.observations import EffectPutOff, EventRefused
from actors.ports import Clock, Observer
from actors.quotas.pace import Pace
from actors.quotas.places import Places
from actors.quotas.plan import UNLIMITED, PlanLimits
from actors.quotas.share import WHOLE, Share

EVENTS: Final = "quota.events"
EFFECTS: Final = "quota.effects"
AHEAD_SECONDS_MAX: Final = 3600.0
"""How far ahead steps are booked; past it they fail."""
BOOKED_MAX: Final = 10_000
BOOKED_KEPT_SECONDS: Final = 120.0
"""How late a run may come back and find its booking."""
OPERATIONS_BURST_SECONDS: Final = 1.0
SPACED_SECONDS_MAX: Final = 5.0
"""The longest that scripts over their quota hold up their tenant at a time."""
_MINUTE: Final = 60.0


@dataclass(slots=True)
class Usage:
    """What a tenant has used in this process since it began."""

    events: int = 0
    events_refused: int = 0
    effects: int = 0
    effects_put_off: int = 0
    script_operations: int = 0
    scripts_spaced_seconds: float = 0.0


class TenantQuota:
    """One tenant's."""

    def __init__(self, tenant: str, clock: Clock, observer: Observer) -> None:
        self.tenant = tenant
        self.plan = UNLIMITED
        """All of it, whatever this process's share."""
        self.share = WHOLE
        self.places = Places()
        self.usage = Usage()
        self.scripts_at = float("-inf")
        """Scripts are to wait until then (monotonic seconds): the quota of operations is used."""
        self._clock = clock
        self._observer = observer
        self._events: Pace | None = None
        self._effects: Pace | None = None
        self._operations: Pace | None = None
        self._booked: OrderedDict[str, float] = OrderedDict()

    def adopt(self, plan: PlanLimits, share: Share = WHOLE) -> None:
        """Go over to a plan, or to another share of it; what was used counts on."""
        if (plan, share) == (self.plan, self.share):
            return
        now = self._clock.monotonic()
        self.plan, self.share = plan, share
        self._adopt_part(share.of(plan), now)

    def _adopt_part(self, plan: PlanLimits, now: float) -> None:
        self.places.change(plan.concurrent_runs)
        self._events = _changed(self._events, plan.events_per_second, 1.0, now)
        per_minute = plan.effects_per_minute
        per_second = None if per_minute is None else per_minute / _MINUTE
        self._effects = _changed(self._effects, per_second, _MINUTE, now)
        self._operations = _changed(
            self._operations, plan.script_operations_per_second, OPERATIONS_BURST_SECONDS, now
        )
        if self._operations is None:
            self.scripts_at = float("-inf")

    def take_event(self) -> None:
        """Count an event that comes from outside. QuotaExceededError (`quota.events`)."""
        if self._events is not None:
            wait = self._events.take(self._clock.monotonic())
            if wait > 0.0:
                self._refuse_event(wait)
        self.usage.events += 1

    def take_emitted(self, key: str) -> None:
        """Count an event that a flow emits: it is an effect, and an event taken in.

        ``key`` is the step's. QuotaExceededError, TransientError.
        """
        self._claim(self._effects, EFFECTS, key)
        try:
            self._claim(self._events, EVENTS, f"e:{key}")
        except (QuotaExceededError, TransientError):
            if self._effects is not None:
                self._book(key, self._clock.monotonic())  # it is not to be paid for twice
            raise
        self.usage.effects += 1
        self.usage.events += 1

    def take_effect(self, key: str) -> None:
        """Count a call or an action. QuotaExceededError, TransientError (`quota.effects`)."""
        self._claim(self._effects, EFFECTS, key)
        self.usage.effects += 1

    def used_operations(self, operations: int) -> None:
        """Count what a script used; over the quota the next ones are to wait for a while."""
        self.usage.script_operations += operations
        if self._operations is None:
            return
        now = self._clock.monotonic()
        self._operations.book(now, operations)
        wait = min(self._operations.wait_for(now, 0.0), SPACED_SECONDS_MAX)
        if wait > 0.0:
            self.scripts_at = now + wait
            self.usage.scripts_spaced_seconds += wait

    # ── Refusals ─────────────────────────────────────────────────────────────────────────────

    def _claim(self, pace: Pace | None, reason: str, key: str) -> None:
        """Grant a step, or book it for later and have its run put off until then."""
        if pace is None:
            return
        now = self._clock.monotonic()
        booked = self._booked.get(key)
        if booked is not None:
            wait = booked - now
        else:
            wait = pace.take(now)
            if wait > AHEAD_SECONDS_MAX or (wait > 0.0 and not self._has_room(now)):
                self._note_put_off(reason)
                raise TransientError(_TEXTS[reason], reason=reason, retry_after_seconds=wait)
            if wait > 0.0:
                pace.book(now)
                self._book(key, now + wait)
        if wait > 0.0:
            self._note_put_off(reason)
            raise QuotaExceededError(
                self.tenant, _TEXTS[reason], retry_after_seconds=wait, reason=reason
            )
        self._booked.pop(key, None)

    def _book(self, key: str, due: float) -> None:
        self._booked[key] = due

    def _has_room(self, now: float) -> bool:
        """Forget runs that did not come back in time; tell whether one more may be booked."""
        while self._booked:
            key = next(iter(self._booked))
            if self._booked[key] + BOOKED_KEPT_SECONDS > now:
                break
            del self._booked[key]
        return len(self._booked) < BOOKED_MAX

    def _refuse_event(self, wait: float) -> None:
        self.usage.events_refused += 1
        self._observer.observe(EventRefused(self.tenant, EVENTS))
        raise QuotaExceededError(
            self.tenant, _TEXTS[EVENTS], retry_after_seconds=wait, reason=EVENTS
        )

    def _note_put_off(self, reason: str) -> None:
        self.usage.effects_put_off += 1
        self._observer.observe(EffectPutOff(self.tenant, reason))


class Quotas:
    """The quotas of all tenants of a process."""

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._quotas: dict[str, TenantQuota] = {}

    def of(self, tenant: str) -> TenantQuota:
        """Give a tenant's quota, the same one every time; without a plan nothing is limited."""
        quota = self._quotas.get(tenant)
        if quota is None:
            quota = TenantQuota(tenant, self._clock, self._observer)
            self._quotas[tenant] = quota
        return quota

    def find(self, tenant: str) -> TenantQuota | None:
        """Give the quota of a tenant that this process has heard of."""
        return self._quotas.get(tenant)

    def forget(self, tenant: str) -> None:
        """Forget a tenant."""
        self._quotas.pop(tenant, None)

    def used(self, tenant: str, operations: int) -> None:
        """Count what a script of a tenant used (`actors.ports.ScriptMeter`)."""
        self.of(tenant).used_operations(operations)


def _changed(
    pace: Pace | None, per_second: float | None, burst_seconds: float, now: float
) -> Pace | None:
    if per_second is None:
        return None
    burst = max(1.0, per_second * burst_seconds)
    if pace is None:
        return Pace(per_second, burst)
    pace.change(per_second, burst, now)
    return pace


_TEXTS: Final = {
    EVENTS: "the tenant's plan allows no more events for the moment",
    EFFECTS: "the tenant's plan allows no more calls, actions and emitted events for the moment",
}
