"""What may have become of a body between the signer and the one who checks.

In: the body that was checked. Out: other bodies, each with the words that follow "the signature
fits the body …". The usual culprit is a framework or proxy that parsed the JSON and wrote it anew;
then come line ends, byte order marks and characters recoded. Never raises: what is no JSON has no
JSON spellings.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

VariantBody = tuple[str, bytes]

BODY_BYTES_MAX: Final = 1024 * 1024
"""Larger bodies are not taken apart: a diagnosis is for one request at hand."""

_UTF8_BOM: Final = b"\xef\xbb\xbf"
_JSON_STYLES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("as compact JSON", {"separators": (",", ":"), "ensure_ascii": False}),
    ("as JSON with spaces after commas and colons", {"ensure_ascii": False}),
    ("as compact JSON with everything beyond ASCII escaped", {"separators": (",", ":")}),
    ("as JSON with spaces, everything beyond ASCII escaped", {}),
    ("as JSON indented by two", {"indent": 2, "ensure_ascii": False}),
    ("as JSON indented by four", {"indent": 4, "ensure_ascii": False}),
    (
        "as compact JSON with sorted keys",
        {"separators": (",", ":"), "ensure_ascii": False, "sort_keys": True},
    ),
)
_HTML_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def body_variants(body: bytes) -> list[VariantBody]:
    """Give other bodies that this one may have been; none twice, and not the body itself."""
    if len(body) > BODY_BYTES_MAX:
        return []
    seen = {body}
    variants: list[VariantBody] = []
    for words, variant in (*_plain_variants(body), *_json_variants(body)):
        if variant not in seen:
            seen.add(variant)
            variants.append((words, variant))
    return variants


def _plain_variants(body: bytes) -> Iterator[VariantBody]:
    yield "without the line end behind it", body.rstrip(b"\r\n")
    yield "with a line feed behind it", body + b"\n"
    yield "with CR LF behind it", body.rstrip(b"\r\n") + b"\r\n"
    unix = body.replace(b"\r\n", b"\n")
    yield "with line feeds alone as line ends", unix
    yield "with CR LF as line ends", unix.replace(b"\n", b"\r\n")
    yield "without the blanks around it", body.strip()
    yield "without its byte order mark", body.removeprefix(_UTF8_BOM)
    yield "with a byte order mark before it", _UTF8_BOM + body
    with suppress(UnicodeError):
        yield "in latin-1, before it was taken to UTF-8", body.decode().encode("latin-1")
    yield "taken from latin-1 to UTF-8", body.decode("latin-1").encode()
    yield "left out, as if it were empty", b""


def _json_variants(body: bytes) -> Iterator[VariantBody]:
    try:
        value = json.loads(body)
        texts = [(words, json.dumps(value, **style)) for words, style in _JSON_STYLES]
    except (ValueError, RecursionError):
        return
    for words, text in (*texts, *_other_languages(texts[0][1], texts[2][1])):
        try:
            data = text.encode()
        except UnicodeEncodeError:
            continue
        yield f"written anew {words}", data
        yield f"written anew {words}, with a line feed behind it", data + b"\n"


def _other_languages(compact: str, ascii_only: str) -> Iterator[tuple[str, str]]:
    yield "as PHP writes JSON, with slashes escaped", ascii_only.replace("/", "\\/")
    html_safe = compact
    for character, escaped in _HTML_ESCAPES.items():
        html_safe = html_safe.replace(character, escaped)
    yield "as Go writes JSON, with <, > and & escaped", html_safe
