"""What a sender hears once its event is stored.

In: an acknowledgement, a flow's reply, a provider's own words. Out: one HTTP answer, and its
status. Refuses nothing: an answer that cannot be sent becomes a 502 that says so.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from actors.outcomes import Answer
from app.http.answers import AnswerNotSendableError, render_answer
from app.http.asgi import JSON, RawHeaders, Send, send_bytes, send_problem
from app.http.problems import Problem
from app.http.waiting import FlowFailed, Reply
from app.providers.provider import HttpAnswer

ACCEPTED: Final = 202
NO_CONTENT: Final = 204
BAD_GATEWAY: Final = 502

_encode = msgspec.json.encode


async def send_accepted(send: Send, event_id: str, own: HttpAnswer | None = None) -> int:
    """Say that the event is stored, in the provider's words where it has its own."""
    if own is not None:
        return await send_answer(send, own)
    await send_bytes(send, ACCEPTED, [JSON], _encode({"event_id": event_id}))
    return ACCEPTED


async def send_reply(send: Send, reply: Reply, event_id: str, own: HttpAnswer | None) -> int:
    """Hand a flow's answer on, or say why there is none."""
    if own is not None:
        return await send_answer(send, own)
    match reply:
        case Answer():
            return await _send_flow_answer(send, reply, event_id)
        case FlowFailed(run_id):
            detail = "The event is stored; the run that would have answered it failed."
            return await _send_bad_gateway(send, "http.flow_failed", detail, event_id, run_id)
        case _:
            return await send_accepted(send, event_id)


async def send_answer(send: Send, answer: HttpAnswer) -> int:
    """Send a provider's own answer."""
    headers: RawHeaders = [(b"content-type", answer.media_type.encode("latin-1"))]
    await send_bytes(send, answer.status, headers, answer.body)
    return answer.status


async def send_handshake(send: Send, granted: Mapping[str, str]) -> int:
    """Grant a sender's handshake."""
    headers: RawHeaders = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in granted.items()
    ]
    await send_bytes(send, NO_CONTENT, headers, b"")
    return NO_CONTENT


async def _send_flow_answer(send: Send, answer: Answer, event_id: str) -> int:
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
