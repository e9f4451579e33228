"""The hot path: ``POST /events/webhook/{tenant}/{event_type}`` (SPEC 9).

In: a raw ASGI request. Out: 202 with the event's id once the event is stored, a flow's answer, or a
problem. Refuses, in this order: a wrong path or method, an unknown tenant or disabled provider, a
body over the limit, a media type other than JSON, a wrong signature, and what the tenant's door
refuses. Never a 2xx for an event that is not stored.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from actors.events import check_event_type
from actors.outcomes import Answer
from actors.ports import Clock, InboundRequest
from app.errors import (
    MethodRefusedError,
    ProviderDisabledError,
    RouteNotFoundError,
    TenantNotFoundError,
)
from app.http.answers import AnswerNotSendableError, render_answer
from app.http.asgi import JSON, Receive, Scope, Send, send_bytes, send_problem
from app.http.body import BodyReader
from app.http.doors import IngressDoor, IngressPorts
from app.http.media import check_json_media
from app.http.problems import Problem
from app.http.request import parse_query
from app.http.waiting import FlowFailed, Reply, wait_reply
from app.providers.provider import InboundProvider, RawRequest

WEBHOOK_PREFIX: Final = b"/events/webhook/"
WEBHOOK_PROVIDER: Final = "events-webhook"
ACCEPTED: Final = 202
BAD_GATEWAY: Final = 502

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class _Target:
    """Whose request this is: found before a byte of the body is read."""

    door: IngressDoor
    provider: InboundProvider
    event_type: str


class WebhookIngress:
    """Takes webhooks in for every tenant of the process."""

    __slots__ = ("_clock", "_ports")

    def __init__(self, ports: IngressPorts, clock: Clock) -> None:
        self._ports = ports
        self._clock = clock

    async def handle(self, scope: Scope, body: BodyReader, receive: Receive, send: Send) -> int:
        """Answer one request and give the status sent; raises what is to be told instead."""
        target = self._find_target(scope)
        request = await self._read(target, scope, body)
        flows = target.door.answering_flows(request.event_type)
        event_id = self._ports.ids.event_id()
        timeout_seconds = target.provider.sync_timeout_seconds
        if flows == 0 or timeout_seconds <= 0:
            ack = await target.door.accept(
                target.provider.name, request, event_id=event_id, reply_to=None
            )
            return await _send_accepted(send, ack.event_id)
        with self._ports.answers.open(event_id) as waiter:
            ack = await target.door.accept(
                target.provider.name, request, event_id=event_id, reply_to=waiter.reply_to
            )
            if ack.is_duplicate:
                return await _send_accepted(send, ack.event_id)
            reply = await wait_reply(
                waiter, receive, flows=flows, timeout_seconds=timeout_seconds, clock=self._clock
            )
        return await _send_reply(send, reply, ack.event_id)

    def _find_target(self, scope: Scope) -> _Target:
        """Look the path up. It is not percent-decoded: no tenant and no type needs escapes."""
        path: bytes = scope["raw_path"]
        tenant, _, event_type = path[len(WEBHOOK_PREFIX) :].decode("latin-1").partition("/")
        if not tenant or not event_type or "/" in event_type:
            raise RouteNotFoundError("webhooks go to /events/webhook/{tenant}/{event_type}")
        if scope["method"] != "POST":
            raise MethodRefusedError("webhooks are posted", allowed=("POST",))
        door = self._ports.doors(tenant)
        if door is None:
            raise TenantNotFoundError("no tenant of this name is served here")
        provider = self._ports.providers(WEBHOOK_PROVIDER)
        if provider is None:
            raise ProviderDisabledError(f"{WEBHOOK_PROVIDER} is not enabled")
        return _Target(door, provider, event_type)

    async def _read(self, target: _Target, scope: Scope, body: BodyReader) -> InboundRequest:
        """Read the body and check who sent it, over the bytes as they came."""
        provider, headers = target.provider, body.headers
        raw = await body.read(provider.body_bytes_max)
        check_json_media(headers)
        signature = provider.verify(RawRequest(target.event_type, headers, raw))
        check_event_type(target.event_type)
        return InboundRequest(
            event_type=target.event_type,
            headers=headers,
            query=parse_query(scope["query_string"]),
            body=raw,
            signature=signature,
        )


async def _send_accepted(send: Send, event_id: str) -> int:
    await send_bytes(send, ACCEPTED, [JSON], _encode({"event_id": event_id}))
    return ACCEPTED


async def _send_reply(send: Send, reply: Reply, event_id: str) -> int:
    match reply:
        case Answer():
            return await _send_answer(send, reply, event_id)
        case FlowFailed(run_id):
            detail = "The event is stored; the run that would have answered it failed."
            return await _send_bad_gateway(send, "http.flow_failed", detail, event_id, run_id)
        case _:
            return await _send_accepted(send, event_id)


async def _send_answer(send: Send, answer: Answer, event_id: str) -> int:
    try:
        status, headers, body = render_answer(answer)
    except AnswerNotSendableError as error:
        detail = f"The event is stored; the flow's answer cannot be sent: {error}."
        return await _send_bad_gateway(send, "http.answer_unsendable", detail, event_id)
    await send_bytes(send, status, headers, body)
    return status


async def _send_bad_gateway(
    send: Send, code: str, detail: str, event_id: str, run_id: str | None = None
) -> int:
    extra = {"event_id": event_id} | ({} if run_id is None else {"run_id": run_id})
    title = "The flow gave no usable answer"
    await send_problem(send, Problem(BAD_GATEWAY, code, title, detail, extra=extra))
    return BAD_GATEWAY
