"""Rates at the bus: what a tenant's plan says of events, calls and actions, asked before each.

In: an envelope, a call, an action. Out: the same from the port behind. Refuses with
QuotaExceededError what comes too early, and with TransientError a step that would wait for too long
(`actors.quotas.quota`). Timers are exempt: they are few, and a tick that is refused is lost.
"""

from collections.abc import Mapping
from typing import Any, Final

from actors.ports import (
    ActionRequest,
    Envelope,
    HttpCaller,
    HttpRequest,
    HttpResponse,
    ProviderActions,
)
from actors.quotas.quota import Quotas
from app.bus.backlog import BacklogLimits

WAITING_SHARE: Final = 0.5
"""Of what a tenant may store: past that its stream lets the oldest go, processed or not."""
_TIMER_PREFIX: Final = "timer."
_KEY: Final = "idempotency-key"


def enter_event(quotas: Quotas, envelope: Envelope) -> None:
    """Count an event that is about to be published. QuotaExceededError, TransientError."""
    if envelope.hops:
        quotas.of(envelope.tenant).take_emitted(envelope.message_id)
    elif not envelope.event.event_type.startswith(_TIMER_PREFIX):
        quotas.of(envelope.tenant).take_event()


class PlannedBacklog:
    """How much of a tenant's work may wait: its plan says it, or the operator for all."""

    def __init__(self, usual: BacklogLimits, quotas: Quotas) -> None:
        self._usual = usual
        self._quotas = quotas

    def of(self, tenant: str) -> BacklogLimits:
        """Give a tenant's limits."""
        plan, usual = self._quotas.of(tenant).plan, self._usual
        size = plan.backlog_bytes or usual.bytes
        if plan.stored_bytes is not None:
            size = min(size, int(plan.stored_bytes * WAITING_SHARE))
        return BacklogLimits(plan.backlog_events or usual.events, size)


class PacedHttpCaller:
    """`HttpCaller` within the tenants' plans."""

    def __init__(self, caller: HttpCaller, quotas: Quotas) -> None:
        self._caller = caller
        self._quotas = quotas

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:
        """Send the request; see `HttpCaller`, and QuotaExceededError."""
        self._quotas.of(tenant).take_effect(_key_of(request))
        return await self._caller.call(tenant, request)


class PacedActions:
    """`ProviderActions` within the tenants' plans."""

    def __init__(self, actions: ProviderActions, quotas: Quotas) -> None:
        self._actions = actions
        self._quotas = quotas

    async def perform(self, request: ActionRequest) -> Mapping[str, Any]:
        """Perform it; see `ProviderActions`, and QuotaExceededError."""
        self._quotas.of(request.tenant).take_effect(request.idempotency_key)
        return await self._actions.perform(request)


def _key_of(request: HttpRequest) -> str:
    """Name the step that calls: it gives the same key when it comes back."""
    for name, value in request.headers:
        if name.lower() == _KEY:
            return value
    return request.url
