"""Which bodies a JSON route reads.

In: a request's headers. Out: nothing, or a refusal. Refuses other media types, charsets and
codings, and names what a later version will read.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from app.errors import IngressError, MediaTypeError, NotSupportedYetError

_JSON: Final = "application/json"
_CLOUDEVENTS: Final = "application/cloudevents"
_LATER: Final[Mapping[str, str]] = {
    "application/x-www-form-urlencoded": "form bodies",
    "multipart/form-data": "form bodies",
    "application/x-ndjson": "batches",
    "application/ndjson": "batches",
}
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})


def check_json_media(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not plain JSON: MediaTypeError, or NotSupportedYetError by name."""
    fault = _fault_of(headers.get("content-type", ""))
    if fault is not None:
        raise fault[0](fault[1])
    if "ce-specversion" in headers:
        raise NotSupportedYetError("CloudEvents (ce-… headers) come with a later version")
    coding = headers.get("content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise MediaTypeError("content codings are not supported; send the body uncompressed")


@lru_cache(maxsize=256)
def _fault_of(content_type: str) -> tuple[type[IngressError], str] | None:
    """Judge one Content-Type, cached: senders repeat theirs."""
    media, _, parameters = content_type.lower().partition(";")
    media = media.strip()
    if not media:
        return MediaTypeError, f"the Content-Type is missing; send {_JSON}"
    if media.startswith(_CLOUDEVENTS):
        return MediaTypeError, "CloudEvents come with a later version"
    if media in _LATER:
        return MediaTypeError, f"{_LATER[media]} come with a later version; send {_JSON}"
    if media != _JSON and not (media.startswith("application/") and media.endswith("+json")):
        return MediaTypeError, f"this is no JSON media type; send {_JSON}"
    if not _has_known_charset(parameters):
        return MediaTypeError, "the charset is not utf-8"
    return None


def _has_known_charset(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _CHARSETS:
            return False
    return True
