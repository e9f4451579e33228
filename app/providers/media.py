"""What a body's headers say it is: media type, charset, coding.

In: a request's headers. Out: a `MediaType`. Refuses, with MediaTypeError, charsets other than UTF-8
and its part US-ASCII, and bodies that are compressed: their size would not be bounded by their
length.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.errors import MediaTypeError

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@dataclass(frozen=True, slots=True)
class MediaType:
    """One Content-Type, its name in lower case."""

    name: str
    """``application/json``; empty where the header is missing."""
    charset: str | None = None

    @property
    def is_json(self) -> bool:
        """Tell whether it is JSON: by its name, or by the suffix of RFC 6839."""
        return self.name == JSON or (
            self.name.startswith("application/") and self.name.endswith("+json")
        )

    @property
    def is_text(self) -> bool:
        """Tell whether it is text: by its name, or because it says in which charset."""
        return self.name.startswith("text/") or self.charset is not None

    @property
    def is_utf8(self) -> bool:
        """Tell whether its text is UTF-8, which it is where it says nothing."""
        return self.charset is None or self.charset in _CHARSETS

    def check_charset(self) -> None:
        """Refuse text in another charset: MediaTypeError."""
        if not self.is_utf8:
            raise MediaTypeError("the charset is not utf-8")


@lru_cache(maxsize=256)
def parse_media_type(content_type: str) -> MediaType:
    """Read a Content-Type, cached: senders repeat theirs. Total; of two charsets the first."""
    name, _, parameters = content_type.lower().partition(";")
    return MediaType(name.strip(), _find_charset(parameters))


def check_coding(headers: Mapping[str, str]) -> None:
    """Refuse a compressed body: MediaTypeError."""
    coding = headers.get("content-encoding")
    if coding is not None and coding.strip().lower() not in {"", "identity"}:
        raise MediaTypeError("content codings are not supported; send the body uncompressed")


def _find_charset(parameters: str) -> str | None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return value.strip().strip('"')
    return None
