"""The fields that Twilio posts, as a form or as JSON.

In: headers and the bytes that were signed. Out: the fields, all of them: Twilio adds new ones
without notice. Blank values are kept, a field that came more than once is a list. Refuses other
media types, fields that are no UTF-8, and too many of them.

The form is taken apart by the same function as for the signature, so nothing can mean one thing
there and another here.
"""

from collections.abc import Mapping
from typing import Any, Final

from actors.errors import InvalidEventError
from app.errors import MediaTypeError
from app.providers.json_body import decode_json_body
from app.providers.media import FORM, check_coding, parse_media_type
from app.providers.signatures.twilio_urls import split_form

FIELDS_MAX: Final = 1000


def decode_fields(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Read the fields; MediaTypeError, InvalidEventError."""
    check_coding(headers)
    media = parse_media_type(headers.get("content-type", ""))
    media.check_charset()
    if media.name == FORM:
        return _decode_form(body)
    if not media.is_json:
        raise MediaTypeError(f"Twilio posts {FORM} or JSON, and this is neither")
    document = decode_json_body(body)
    if not isinstance(document, dict):
        raise InvalidEventError("payload", "the body is no JSON object")
    return document


def _decode_form(body: bytes) -> dict[str, Any]:
    if body.count(b"&") >= FIELDS_MAX:
        raise InvalidEventError("payload", f"the form has more than {FIELDS_MAX} fields")
    collected: dict[str, list[str]] = {}
    try:
        for name, value in split_form(body):
            collected.setdefault(name.decode(), []).append(value.decode())
    except UnicodeDecodeError:
        raise InvalidEventError("payload", "the form is not UTF-8") from None
    return {name: each[0] if len(each) == 1 else each for name, each in collected.items()}
