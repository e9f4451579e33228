"""A flow's answer as an HTTP response.

In: an `Answer`, made by a tenant's flow and therefore not trusted. Out: status, headers, bytes that
cannot break the connection, split the response or speak for the host. Refuses nothing: what cannot
be sent is left out, and an impossible status or body becomes a 502.
"""

import re
from typing import Final

import msgspec

from actors.outcomes import Answer
from app.http.asgi import JSON, RawHeaders

ANSWER_HEADERS_MAX: Final = 64
ANSWER_HEADER_BYTES_MAX: Final = 8 * 1024
ANSWER_BODY_BYTES_MAX: Final = 512 * 1024
"""SPEC 13: a result's output."""

STATUS_MIN: Final = 200
STATUS_MAX: Final = 599
_BODILESS: Final = frozenset({204, 304})

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")

_OURS: Final = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Hop-by-hop headers (RFC 9110 7.6.1) and those the server itself writes."""

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class AnswerNotSendableError(Exception):
    """The flow's answer is no HTTP response. Stays inside this package: it becomes a 502."""


def render_answer(answer: Answer) -> tuple[int, RawHeaders, bytes]:
    """Make the parts of a response; AnswerNotSendableError for a status or body that is none."""
    if not STATUS_MIN <= answer.status <= STATUS_MAX:
        raise AnswerNotSendableError(f"status {answer.status} is not between 200 and 599")
    body, default_type = _render_body(answer)
    headers = _render_headers(answer)
    if body and all(name != b"content-type" for name, _ in headers):
        headers.append(default_type)
    return answer.status, headers, body


def _render_body(answer: Answer) -> tuple[bytes, tuple[bytes, bytes]]:
    if answer.body is None or answer.status in _BODILESS:
        return b"", JSON
    try:
        if isinstance(answer.body, str):
            body, media = answer.body.encode(), _TEXT
        else:
            body, media = msgspec.json.encode(answer.body), JSON
    except (TypeError, ValueError, RecursionError):
        raise AnswerNotSendableError("the body is no JSON value") from None
    if len(body) > ANSWER_BODY_BYTES_MAX:
        raise AnswerNotSendableError(f"the body has more than {ANSWER_BODY_BYTES_MAX} bytes")
    return body, media


def _render_headers(answer: Answer) -> RawHeaders:
    headers: RawHeaders = []
    budget = ANSWER_HEADER_BYTES_MAX
    for name, value in list(answer.headers.items())[:ANSWER_HEADERS_MAX]:
        text = str(value)  # a flow's header may be a number, whatever the types say
        budget -= len(name) + len(text)
        if budget >= 0 and _is_sendable(name, text):
            headers.append((name.lower().encode(), text.encode()))
    return headers


def _is_sendable(name: str, value: str) -> bool:
    if name.lower() in _OURS:
        return False
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None
