"""The hot path: ``POST /events/…``, whatever provider the route belongs to (SPEC 9).

In: a raw ASGI request. Out: 202 with the event's id once the event is stored, a flow's answer, the
provider's own words, or a problem. Refuses, in this order: a wrong path or method, an unknown
tenant or disabled provider, a body over the limit, a wrong signature, what is no event, and what
the tenant's door refuses. Never a 2xx for an event that is not stored.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from actors.errors import InvalidEventError
from actors.outcomes import Answer
from actors.ports import Clock, NormalizedEvent
from app.errors import (
    MethodRefusedError,
    OriginRefusedError,
    ProviderDisabledError,
    RouteNotFoundError,
    TenantNotFoundError,
)
from app.http.asgi import Receive, Scope, Send
from app.http.batch import store_batch
from app.http.body import BodyReader
from app.http.client_address import client_address
from app.http.doors import IngressDoor, IngressPorts
from app.http.origin import PublicUrls
from app.http.replies import send_accepted, send_answer, send_handshake, send_reply
from app.http.request import parse_query
from app.http.routes import RouteMatch, RouteTable
from app.http.waiting import wait_reply
from app.providers.provider import Inbound, InboundProvider, InboundRequest, Provider

LARGE_BODY_BYTES: Final = 256 * 1024
"""A body of this size is understood in a thread: it would hold up everybody else's requests."""

PREFLIGHT: Final = "OPTIONS"
ORIGIN_HEADER: Final = "webhook-request-origin"
"""Of the CloudEvents webhook specification: who asks whether it may deliver events here."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Whose request this is: found before a byte of the body is read."""

    match: RouteMatch
    door: IngressDoor
    inbound: InboundProvider


class EventIngress:
    """Takes events in for every tenant of the process, by the routes of every provider."""

    __slots__ = ("_clock", "_ports", "_routes", "_urls")

    def __init__(
        self, routes: RouteTable, ports: IngressPorts, clock: Clock, urls: PublicUrls | None = None
    ) -> None:
        self._routes = routes
        self._ports = ports
        self._clock = clock
        self._urls = urls or PublicUrls()

    def find_route(self, scope: Scope) -> RouteMatch | None:
        """Look a request's path up."""
        raw: bytes = scope["raw_path"]
        return self._routes.find(raw.decode("latin-1"))

    async def handle(
        self, match: RouteMatch | None, scope: Scope, body: BodyReader, receive: Receive, send: Send
    ) -> int:
        """Answer one request and give the status sent; raises what is to be told instead."""
        if match is None:
            forms = ", ".join(self._routes.forms())
            raise RouteNotFoundError(f"events go to {forms}")
        is_handshake = scope["method"] == PREFLIGHT and ORIGIN_HEADER in body.headers
        if scope["method"] != "POST" and not is_handshake:
            raise MethodRefusedError("events are posted", allowed=("POST",))
        door, provider = self._find_owner(match)
        if is_handshake or provider.inbound is None:
            return await send_handshake(send, _greet(provider, body.headers))
        target = _Target(match, door, provider.inbound)
        inbound = await self._read(target, scope, body)
        if inbound.answer is not None:
            return await send_answer(send, inbound.answer)
        if inbound.blobs:
            await self._keep_blobs(match.tenant, inbound)
        if inbound.is_batch:
            return await self._take_batch(target, inbound, send)
        return await self._take_one(target, inbound, receive, send)

    def _find_owner(self, match: RouteMatch) -> tuple[IngressDoor, Provider]:
        door = self._ports.doors(match.tenant)
        if door is None:
            raise TenantNotFoundError("no tenant of this name is served here")
        provider = self._ports.providers(match.tenant, match.provider)
        if provider is None:
            raise ProviderDisabledError(f"{match.provider} is not enabled")
        return door, provider

    async def _read(self, target: _Target, scope: Scope, body: BodyReader) -> Inbound:
        """Read the body, check who sent it over the bytes as they came, and understand it."""
        match, provider, headers = target.match, target.inbound, body.headers
        raw = await body.read(provider.body_bytes_max(match.route.name))
        request = InboundRequest(
            headers=headers,
            body=raw,
            tenant=match.tenant,
            event_type=match.event_type,
            route=match.route.name,
            query=parse_query(scope["query_string"]),
            public_url=partial(self._urls.url_of, match.tenant, scope, headers),
            client=partial(client_address, scope, headers, self._urls.trusted_proxies),
        )
        if len(raw) < LARGE_BODY_BYTES:
            return provider.receive(request, provider.verify(request))
        return await asyncio.to_thread(_understand, provider, request)

    async def _keep_blobs(self, tenant: str, inbound: Inbound) -> None:
        for blob in inbound.blobs:
            await self._ports.blobs.put(tenant, blob)

    async def _take_batch(self, target: _Target, inbound: Inbound, send: Send) -> int:
        ids = self._ports.ids
        outcome = await store_batch(target.door, target.match.provider, inbound.events, ids)
        own = target.inbound.answer(target.match.route.name, None) if outcome.is_complete else None
        return await (outcome.send(send) if own is None else send_answer(send, own))

    async def _take_one(
        self, target: _Target, inbound: Inbound, receive: Receive, send: Send
    ) -> int:
        event = _only_event(inbound)
        door, provider = target.door, target.inbound
        name, route = target.match.provider, target.match.route.name
        flows = door.answering_flows(event.event_type)
        event_id = self._ports.ids.event_id()
        timeout_seconds = provider.sync_timeout_seconds
        if flows == 0 or timeout_seconds <= 0:
            ack = await door.accept(name, event, event_id=event_id, reply_to=None)
            return await send_accepted(send, ack.event_id, provider.answer(route, None))
        with self._ports.answers.open(event_id) as waiter:
            ack = await door.accept(name, event, event_id=event_id, reply_to=waiter.reply_to)
            if ack.is_duplicate:
                return await send_accepted(send, ack.event_id, provider.answer(route, None))
            reply = await wait_reply(
                waiter, receive, flows=flows, timeout_seconds=timeout_seconds, clock=self._clock
            )
        own = provider.answer(route, reply if isinstance(reply, Answer) else None)
        return await send_reply(send, reply, ack.event_id, own)


def _understand(provider: InboundProvider, request: InboundRequest) -> Inbound:
    return provider.receive(request, provider.verify(request))


def _only_event(inbound: Inbound) -> NormalizedEvent:
    (event,) = inbound.events
    if isinstance(event, InvalidEventError):
        raise event
    return event


def _greet(provider: Provider, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Answer a handshake (CloudEvents webhook specification, 4)."""
    granted = provider.handshake(headers)
    if granted is None:
        raise OriginRefusedError("this origin may not deliver events here")
    return granted
