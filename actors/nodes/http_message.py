"""The bytes of an `http` node's request and the value of its answer.

In: rendered parts of a config; an HttpResponse. Out: body, content type, authorization; the
node's value. Refuses, as PermanentError, what must not go over the wire.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from actors.errors import PermanentError
from actors.events import json_depth_exceeds
from actors.nodes.output import check_output
from actors.nodes.rendering import text_of
from actors.nodes.urls import encode_pairs
from actors.ports import HttpResponse

REQUEST_BYTES_MAX: Final = 768 * 1024

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_BAD_REQUEST: Final = "http.bad_request"

_OK_STATUSES: Final = range(200, 300)


def build_body(body: Any, headers: Sequence[tuple[str, str]]) -> tuple[bytes | None, str | None]:
    """Give the body's bytes, and its content type where the headers name none."""
    if body is None:
        return None, None
    given = next((value for name, value in headers if name.lower() == "content-type"), None)
    if isinstance(body, str):
        text, content_type = body, _TEXT
    elif given is not None and given.lower().startswith(_FORM):
        text, content_type = encode_pairs(body, "body"), _FORM
    else:
        check_output(body, "request body", bytes_max=REQUEST_BYTES_MAX)
        text, content_type = json.dumps(body, ensure_ascii=False, separators=(",", ":")), _JSON
    data = text.encode("utf-8", "replace")
    if len(data) > REQUEST_BYTES_MAX:
        raise PermanentError(
            f"the request body is larger than {REQUEST_BYTES_MAX} bytes", reason="too_large"
        )
    return data, content_type if given is None else None


def has_header(headers: Sequence[tuple[str, str]], name: str) -> bool:
    """Tell whether a header of this (lower-case) name is there."""
    return any(given.lower() == name for given, _ in headers)


def render_authorization(auth: dict[str, Any]) -> str:
    """Give the value of `Authorization`. Never put it into an error."""
    if auth["type"] == "basic":
        pair = f"{text_of(auth['username'])}:{text_of(auth['password'])}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
    token = text_of(auth["token"])
    if not token.isascii() or not token.isprintable():
        raise PermanentError("the bearer token is not printable ASCII", reason=_BAD_REQUEST)
    return f"Bearer {token}"


def credentials_of(headers: Sequence[tuple[str, str]]) -> list[str]:
    """Give what `Basic` makes of user and password, which a service may repeat."""
    values = [value for name, value in headers if name.lower() == "authorization"]
    return [value.removeprefix("Basic ") for value in values if value.startswith("Basic ")]


def parse_response(response: HttpResponse) -> dict[str, Any]:
    """Give ``{status, ok, headers, body}`` with the fields of a JSON object's body around them."""
    body = _parse_body(response)
    fields = body if isinstance(body, dict) else {}
    return {
        **fields,
        "status": response.status,
        "ok": response.status in _OK_STATUSES,
        "headers": dict(response.headers),
        "body": body,
    }


def _parse_body(response: HttpResponse) -> Any:
    """Parse a body that says it is JSON, or that says nothing and looks like it; else give text."""
    text = response.body.decode("utf-8", "replace")
    media = response.headers.get("content-type", "").split(";")[0].strip().lower()
    looks_like_json = not media and text.lstrip()[:1] in ("{", "[")
    if not (media == _JSON or media.endswith("+json") or looks_like_json):
        return text
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text
    if json_depth_exceeds(value):
        raise PermanentError("the answer nests too deeply", reason="too_large")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
