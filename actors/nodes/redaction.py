"""Taking secrets out of texts that came back: in every form that a request or an answer gives them.

In: values, and what may repeat them. Out: the same with `[secret]` in their places. It refuses
nothing. What a service changes beyond recognition (reversed, hashed, cut) cannot be seen through.

A value is looked for as it is, in other case, escaped for JSON, Python, HTML and URLs (also twice),
in hexadecimal, and in base64 wherever it stands in what was encoded: `Basic` joins it to a user's
name. Of a value of several lines each line counts, of one that is JSON each text in it: services
take such values apart. In answers, where short values would match by chance, those under 8
characters must stand alone, and those under 4 are not looked for.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

MASK: Final = "[secret]"

MASKED_CHARS_MIN: Final = 8
"""From this length on a value is looked for in answers wherever it stands."""
WORD_CHARS_MIN: Final = 4
"""From this length on it is looked for there where no letter or digit is beside it."""
PIECES_MAX: Final = 64
"""Lines, or texts of a JSON value, that are looked for beside the value: the longest ones."""
CORE_CHARS_MIN: Final = 8
"""Of base64 that is surely the value's."""

SPELT_CHARS_MAX: Final = 2_048
"""Longer values are looked for as they are, in JSON, in a URL and in base64 alone."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]*")
_KEPT_IN_URLS: Final = ("", "/", "/:?@!$&'()*+,;=", "!*'()")
"""What the encoders of this world leave as it is, beside letters, digits and `-._~`."""
_NOT_KEPT: Final = {
    kept: re.compile(b"[^A-Za-z0-9._~" + re.escape(kept.encode()) + b"-]") for kept in _KEPT_IN_URLS
}
_BITS: Final = (8, 6)


class _Within:
    """Forms with what must, or may, stand around them."""

    __slots__ = ("_forms", "_pattern")

    def __init__(self, forms: Iterable[str], around: str) -> None:
        self._forms = _longest_first(form for form in forms if form)
        self._pattern = re.compile(around.format("|".join(map(re.escape, self._forms))))

    def clean(self, text: str) -> str:
        # Searching for the forms alone is a hundred times quicker, and finds nothing mostly.
        if any(form in text for form in self._forms):
            return self._pattern.sub(MASK, text)
        return text


class Redactor:
    """Knows some values and finds them; its `repr` shows none."""

    __slots__ = ("_anywhere", "_cores", "_everything", "_words")

    def __init__(self, values: Iterable[str]) -> None:
        plain = [value for value in values if value]
        forms = {form for value in plain for form in _forms(value)}
        pieces = {form for value in plain for piece in _pieces(value) for form in _spelt(piece)}
        cores = {core for value in plain for core in _cores(value)}
        long = {form for form in forms | pieces if len(form) >= MASKED_CHARS_MIN}
        self._anywhere = _longest_first(long)
        short = {form for form in forms if WORD_CHARS_MIN <= len(form) < MASKED_CHARS_MIN}
        self._words = _Within(short, r"(?<![^\W_])(?:{})(?![^\W_])")
        # With what stands in the same groups of 3 bytes before and behind.
        self._cores = _Within(cores, r"[A-Za-z0-9+/_-]{{0,2}}(?:{})[A-Za-z0-9+/_-]{{0,2}}={{0,2}}")
        self._everything = _Within({form for form in forms if len(form) < MASKED_CHARS_MIN}, "{}")

    def redact(self, text: str) -> str:
        """Take the values out of an error's text, however short they are."""
        return self._everything.clean(self._clean(text))

    def mask(self, value: Any) -> Any:
        """Take the values out of a JSON value, keys and numbers included."""
        if isinstance(value, str):
            return self._clean_answer(value)
        if isinstance(value, dict):
            return {self._clean_answer(key): self.mask(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.mask(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return MASK if self._clean_answer(str(value)) == MASK else value
        return value

    def _clean_answer(self, text: str) -> str:
        return self._words.clean(self._clean(text))

    def _clean(self, text: str) -> str:
        for form in self._anywhere:
            if form in text:
                text = text.replace(form, MASK)
        return self._cores.clean(text)


def _forms(value: str) -> Iterator[str]:
    """Give how a whole value may be written."""
    for text in {value, value.strip()}:
        yield from _spelt(text)
        raw = text.encode()
        for encoded in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
            yield encoded
            yield encoded.rstrip("=")
        if len(text) >= MASKED_CHARS_MIN:
            yield raw.hex()
            yield raw.hex().upper()


def _spelt(text: str) -> Iterator[str]:
    """Give a text as it is and escaped, once and twice."""
    if len(text) > SPELT_CHARS_MAX:
        yield from (text, json.dumps(text)[1:-1], _percent(text, ""))
        return
    once = {text, *_escaped(text)}
    yield from once
    for form in once:
        yield from _escaped(form)
    if len(text) >= MASKED_CHARS_MIN:
        yield text.lower()
        yield text.upper()


def _escaped(text: str) -> Iterator[str]:
    quoted = json.dumps(text)[1:-1]
    yield quoted
    yield quoted.replace("/", "\\/")
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield html.escape(text)
    yield html.escape(text, quote=False)
    # A header's bytes, read as the old rule says.
    yield text.encode().decode("latin-1")
    if _PLAIN.fullmatch(text):
        return
    for kept in _KEPT_IN_URLS:
        encoded = _percent(text, kept)
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
        yield encoded.replace("%20", "+")


def _percent(text: str, kept: str) -> str:
    encoded = _NOT_KEPT[kept].sub(lambda found: b"%%%02X" % found[0][0], text.encode())
    return encoded.decode()


def _pieces(value: str) -> list[str]:
    """Give the parts of a value that are secret by themselves, the longest ones."""
    found = {line.strip() for line in value.splitlines()}
    if value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):  # it may only look like JSON
            found |= set(_texts(json.loads(value)))
    found -= {value}
    long = [piece for piece in found if len(piece) >= MASKED_CHARS_MIN]
    return sorted(long, key=lambda piece: (-len(piece), piece))[:PIECES_MAX]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _cores(value: str) -> Iterator[str]:
    """Give what base64 makes of a value at each of the three places it may have in a group."""
    raw = value.strip().encode()
    if len(raw) > SPELT_CHARS_MAX:
        return
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        bits, chars = _BITS
        first = -(-before * bits // chars)
        last = (before + len(raw)) * bits // chars
        core = encoded[first:last]
        if len(core) >= CORE_CHARS_MIN:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))


def _longest_first(forms: Iterable[str]) -> tuple[str, ...]:
    """Put them so that none is left in half."""
    return tuple(sorted(set(forms), key=lambda form: (-len(form), form)))
