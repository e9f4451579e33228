"""What all emulators do with a request: read its body, bounded, and look at its credentials.

In: a Starlette request. Out: bytes, JSON, credentials. Refuses a body over the limit, while it is
read.
"""

import base64
import binascii
import hmac
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.errors import InvalidEventError
from app.providers.json_body import decode_json_body

JSON: Final = "application/json"


class BodyTooLongError(Exception):
    """The body is longer than the route takes. Stays inside this package."""


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Read the body; BodyTooLongError as soon as it is too long."""
    whole = bytearray()
    async for part in request.stream():
        whole += part
        if len(whole) > bytes_max:
            raise BodyTooLongError
    return bytes(whole)


def decode_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object that nests no deeper than an event may; None for anything else."""
    try:
        document = decode_json_body(body)
    except InvalidEventError:
        return None
    return document if isinstance(document, dict) else None


def respond(document: Any, status: int = 200, **headers: str) -> Response:
    """Answer in JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(msgspec.json.encode(document), status, named, JSON)


def bearer_of(request: Request) -> str | None:
    """Give the token of ``Authorization: Bearer …``."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def basic_of(request: Request) -> tuple[str, str] | None:
    """Give user and password of ``Authorization: Basic …``."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, colon, password = pair.partition(":")
    return (user, password) if colon else None


def is_same(given: str, expected: str) -> bool:
    """Compare two secrets in constant time; any text may come."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )
