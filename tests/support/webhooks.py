"""Builders for the webhook provider: a door with options, and what knocks at it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.errors import InvalidEventError
from actors.ports import NormalizedEvent
from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from app.providers.catalog import build_provider
from app.providers.provider import (
    InboundProvider,
    InboundRequest,
    NoApiKeys,
    Provider,
    ProviderContext,
)

VECTORS = Path(__file__).parents[3] / "shared" / "vectors"
"""The shared vectors, where the checkout has them beside it."""

JSON_TYPE = "application/json"
BODY = b'{"a": 1}'


@dataclass(frozen=True, slots=True)
class FakeApiKeys:
    """Keys by token: the tenant and the scope of each."""

    keys: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def find_tenant(self, token: str, scope: str, address: str = "") -> str | None:
        """Give the tenant of a key with that scope."""
        tenant, granted = self.keys.get(token, ("", ""))
        return tenant if tenant and granted == scope else None


def a_webhook(
    env: str = "dev",
    *,
    now_seconds: float = 1_700_000_000,
    api_keys: FakeApiKeys | None = None,
    **options: Any,
) -> Provider:
    """Build the provider as a bundle would, at a given time."""
    context = ProviderContext(
        env=env,
        http=MemoryHttp(),
        clock=VirtualClock(epoch_ms=round(now_seconds * 1000)),
        api_keys=api_keys or NoApiKeys(),
    )
    return build_provider("events-webhook", options, context)


def a_door(env: str = "dev", **more: Any) -> InboundProvider:
    """Build its inbound half."""
    inbound = a_webhook(env, **more).inbound
    assert inbound is not None
    return inbound


def a_request(
    body: bytes = BODY,
    event_type: str = "order.created",
    *,
    media: str = JSON_TYPE,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> InboundRequest:
    """Build a request for one event; an empty ``media`` sends no Content-Type."""
    return InboundRequest(
        headers={**({"content-type": media} if media else {}), **(headers or {})},
        body=body,
        tenant="demo",
        event_type=event_type,
        route="event",
        query=query or {},
    )


def a_batch(
    body: bytes, *, media: str = "application/x-ndjson", headers: Mapping[str, str] | None = None
) -> InboundRequest:
    """Build a request for many."""
    return InboundRequest(
        headers={"content-type": media, **(headers or {})}, body=body, tenant="demo", route="batch"
    )


def lines(*documents: object) -> bytes:
    """Write documents as JSON lines."""
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def take(door: InboundProvider, request: InboundRequest) -> NormalizedEvent:
    """Verify a request and give its one event."""
    (event,) = door.receive(request, door.verify(request)).events
    assert not isinstance(event, InvalidEventError)
    return event


def take_all(
    door: InboundProvider, request: InboundRequest
) -> list[NormalizedEvent | InvalidEventError]:
    """Verify a batch and give its items."""
    inbound = door.receive(request, door.verify(request))
    assert inbound.is_batch
    return list(inbound.events)
