"""What requests of the API carry, checked: parameters of the query, JSON bodies.

In: a request and the struct that it must fit. Out: an instance. Refuses parameters given twice,
unknown ones, values out of bounds (BadRequestError) and bodies over the limit (BodyTooLargeError).
"""

from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from app.errors import BadRequestError, BodyTooLargeError

BODY_BYTES_MAX: Final = 64 * 1024
NO_STORE: Final = {"cache-control": "no-store"}

_T = TypeVar("_T")


def parameters(request: Request, kind: type[_T]) -> _T:
    """Read the query."""
    pairs = request.query_params.multi_items()
    given = dict(pairs)
    if len(given) != len(pairs):
        raise BadRequestError("a parameter is given twice")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequestError(str(error)) from None


async def read_json(request: Request, kind: type[_T]) -> _T:
    """Read the body; an empty one counts as an empty object."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise BodyTooLargeError(f"the body is larger than {BODY_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(bytes(body) or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"the body is not as it must be: {error}") from None
