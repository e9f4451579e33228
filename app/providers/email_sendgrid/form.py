"""multipart/form-data as Inbound Parse posts it.

In: the Content-Type and the body. Out: the fields, as bytes. Refuses, with MediaTypeError, other
media types, and with BadRequestError what is malformed, cut off, or more than the named limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import BadRequestError, MediaTypeError

MULTIPART: Final = "multipart/form-data"
FIELDS_MAX: Final = 200
FIELD_NAME_CHARS_MAX: Final = 128
FILENAME_CHARS_MAX: Final = 255
HEADERS_MAX: Final = 8
HEADER_BYTES_MAX: Final = 4096
"""A line of a part's head."""
CONTENT_TYPE_CHARS_MAX: Final = 512
TYPE_CHARS_MAX: Final = 127


@dataclass(frozen=True, slots=True)
class FormField:
    """One field; one with a ``filename``, even an empty one, is a file."""

    name: str
    content: bytes = field(repr=False)
    filename: str | None = None
    media_type: str = ""


def parse_form(content_type: str, body: bytes) -> list[FormField]:
    """Read a whole form, in its order."""
    kind, options = _options(content_type, CONTENT_TYPE_CHARS_MAX)
    boundary = options.get(b"boundary", b"")
    if kind != MULTIPART:
        raise MediaTypeError(f"Inbound Parse posts {MULTIPART}")
    if not boundary:
        raise BadRequestError("the Content-Type names no boundary")
    collector = _Collector()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collector.begin,
                "on_header_field": collector.take_header_name,
                "on_header_value": collector.take_header_value,
                "on_header_end": collector.end_header,
                "on_headers_finished": collector.finish_headers,
                "on_part_data": collector.take_data,
                "on_part_end": collector.end,
                "on_end": collector.finish,
            },
            max_header_count=HEADERS_MAX,
            max_header_size=HEADER_BYTES_MAX,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise BadRequestError("the form is malformed") from None
    if not collector.is_complete:
        raise BadRequestError("the form is cut off: its last boundary is missing")
    return collector.fields


class _Collector:
    """Hears the parser and collects fields."""

    def __init__(self) -> None:
        self.fields: list[FormField] = []
        self.is_complete = False
        self._name = bytearray()
        self._value = bytearray()
        self._headers: dict[str, str] = {}
        self._data: list[bytes] = []
        self._filename: str | None = None
        self._field_name = ""

    def begin(self) -> None:
        if len(self.fields) >= FIELDS_MAX:
            raise BadRequestError(f"the form has more than {FIELDS_MAX} fields")
        self._headers, self._data = {}, []

    def take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        name = self._name.decode("latin-1").lower()
        self._headers.setdefault(name, self._value.decode("latin-1"))
        self._name.clear()
        self._value.clear()

    def finish_headers(self) -> None:
        disposition = self._headers.get("content-disposition", "")
        kind, options = _options(disposition, HEADER_BYTES_MAX)
        if kind != "form-data" or b"name" not in options:
            raise BadRequestError("a part of the form has no name")
        self._field_name = _text(options[b"name"])
        if len(self._field_name) > FIELD_NAME_CHARS_MAX:
            raise BadRequestError("a field of the form has too long a name")
        filename = options.get(b"filename")
        self._filename = None if filename is None else clean_filename(_text(filename))

    def take_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def end(self) -> None:
        media_type, _ = _options(self._headers.get("content-type", ""), HEADER_BYTES_MAX)
        self.fields.append(
            FormField(
                self._field_name,
                b"".join(self._data),
                self._filename,
                media_type[:TYPE_CHARS_MAX],
            )
        )

    def finish(self) -> None:
        self.is_complete = True


def clean_filename(name: str) -> str:
    """Give a sender's file name without a path, without control characters, and not too long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:FILENAME_CHARS_MAX]


def _options(header: str, chars_max: int) -> tuple[str, Mapping[bytes, bytes]]:
    """Read ``name; key=value``, the name in lower case; nothing where it cannot be read."""
    if not header or len(header) > chars_max:
        return "", {}
    try:
        name, options = parse_options_header(header.encode("latin-1"))
        return name.decode("latin-1").lower(), options
    except (ValueError, LookupError):  # RFC 2231 values in a charset that is none
        return "", {}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
