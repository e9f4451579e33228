"""CloudEvents 1.0 in JSON and over HTTP, as values.

In: a decoded JSON document, or the headers and body of binary mode. Out: a `CloudEvent`. Refuses,
with InvalidEventError that names the attribute, other versions, missing attributes, names and
values that the specification does not allow, and data given twice.

Data that is no JSON becomes a text where it is one (``text/…``, or any type with a charset), and
else ``{"data_base64": …}``; no data at all is null.

Sources: github.com/cloudevents/spec v1.0.2, spec.md, formats/json-format.md and
bindings/http-protocol-binding.md.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from actors.errors import InvalidEventError
from app.providers.json_body import decode_json_body
from app.providers.media import MediaType, parse_media_type

SPECVERSION: Final = "1.0"
ATTRIBUTES_MAX: Final = 64
NAME_CHARS_MAX: Final = 64
"""The specification advises 20."""

TEXT_CHARS_MAX: Final = 4096

HEADER_PREFIX: Final = "ce-"
_REQUIRED: Final = ("id", "source", "type", "specversion")
_TEXTS: Final = frozenset({*_REQUIRED, "datacontenttype", "dataschema", "subject", "time"})
_DATA: Final = frozenset({"data", "data_base64"})
_JSON_ENDS: Final = ("/json", "+json")
"""Of whatever type: json-format.md 3.1."""
_INTEGER_BITS: Final = 31
_NAME = re.compile(r"[a-z0-9]+")
_FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
"""Control characters, surrogates and noncharacters (spec.md, String)."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One CloudEvent: what its sender says of it, and its data as a JSON value."""

    attributes: Mapping[str, Any]
    """All of them, extensions included, as strings, booleans and integers."""
    payload: Any

    def text(self, name: str) -> str:
        """Give an attribute that is a string; empty if it is absent."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) else ""


def is_binary_mode(headers: Mapping[str, str]) -> bool:
    """Tell whether headers are those of a CloudEvent, whole or not.

    Written out, since every webhook passes here.
    """
    return (
        "ce-specversion" in headers
        or "ce-id" in headers
        or "ce-type" in headers
        or "ce-source" in headers
    )


def parse_document(document: object) -> CloudEvent:
    """Read one event of the JSON format."""
    if not isinstance(document, dict):
        raise InvalidEventError("cloudevent", "must be a JSON object")
    attributes = _check_attributes(
        {name: value for name, value in document.items() if value is not None and name not in _DATA}
    )
    media = parse_media_type(attributes.get("datacontenttype", ""))
    if document.get("data_base64") is None:
        return CloudEvent(attributes, document.get("data"))
    if "data" in document:
        raise InvalidEventError("data", "and data_base64 exclude each other")
    return CloudEvent(attributes, _decode_base64(document["data_base64"], media))


def parse_binary(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """Read one event of binary mode: attributes from ``ce-…`` headers, data from the body."""
    attributes: dict[str, Any] = {
        name.removeprefix(HEADER_PREFIX): _decode_header(name, value)
        for name, value in headers.items()
        if name.startswith(HEADER_PREFIX)
    }
    if "datacontenttype" in attributes:
        raise InvalidEventError("ce-datacontenttype", "must not be there: Content-Type says it")
    content_type = headers.get("content-type", "")
    if content_type:
        attributes["datacontenttype"] = content_type
    payload = _decode_data(body, parse_media_type(content_type)) if body else None
    return CloudEvent(_check_attributes(attributes), payload)


def _check_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    version = attributes.get("specversion")
    if version != SPECVERSION:
        found = "is missing: it" if version is None else "is not supported: it"
        raise InvalidEventError("specversion", f"{found} must be '{SPECVERSION}'")
    if len(attributes) > ATTRIBUTES_MAX:
        raise InvalidEventError("cloudevent", f"has more than {ATTRIBUTES_MAX} attributes")
    for name in _REQUIRED:
        if name not in attributes:
            raise InvalidEventError(name, "is missing; a CloudEvent has id, source and type")
    for name, value in attributes.items():
        _check_attribute(name, value)
    return attributes


def _check_attribute(name: str, value: object) -> None:
    if not _NAME.fullmatch(name) or len(name) > NAME_CHARS_MAX:
        raise InvalidEventError(
            "cloudevent", "attributes have names of lower-case letters and digits"
        )
    if isinstance(value, str):
        _check_text(name, value)
    elif name in _TEXTS:
        raise InvalidEventError(name, "must be a string")
    elif not isinstance(value, int):
        raise InvalidEventError(name, "must be a string, a whole number, true or false")
    elif not -(1 << _INTEGER_BITS) <= value < 1 << _INTEGER_BITS:
        raise InvalidEventError(name, "is an integer beyond 32 bits")


def _check_text(name: str, value: str) -> None:
    if not value and name in _TEXTS:
        raise InvalidEventError(name, "must not be empty")
    if len(value) > TEXT_CHARS_MAX:
        raise InvalidEventError(name, f"is longer than {TEXT_CHARS_MAX} characters")
    if _FORBIDDEN.search(value):
        raise InvalidEventError(name, "has control characters, or ones that are no Unicode")


def _decode_header(name: str, value: str) -> str:
    """Read a header's value: quotes of older senders away, then percent-decoding, one round.

    Bytes beyond ASCII that a sender did not encode are taken as the UTF-8 they are.
    """
    text = _unquote(value.strip())
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeError:  # overlong forms among it, which could hide a character from a filter
        raise InvalidEventError(name, "is not UTF-8 once percent-decoded") from None


def _unquote(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _decode_data(body: bytes, media: MediaType) -> Any:
    """Read bytes by their media type; of none at all senders mean JSON, as their libraries do."""
    if media.name.endswith(_JSON_ENDS) or not media.name:
        return decode_json_body(body)
    if media.is_text and media.is_utf8:
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise InvalidEventError("payload", "the data is text, and not UTF-8") from None
    return {"data_base64": base64.b64encode(body).decode()}


def _decode_base64(value: object, media: MediaType) -> Any:
    if not isinstance(value, str):
        raise InvalidEventError("data_base64", "must be a string")
    try:
        data = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise InvalidEventError("data_base64", "is no base64") from None
    if not media.name:
        return {"data_base64": value}
    return _decode_data(data, media) if data else None
