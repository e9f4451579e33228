"""Functions of strings and chars. Positions and lengths count code points.

A function that changes its string gives (new string, result). Refuses wrong types
(function_not_found) and results past the size limits (limit_data_size).
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.library.positions import clamp, range_of, slice_of
from grammar.runtime.registry import ANY, CHAR, INT, RANGE, STRING, TEXT, Entry
from grammar.runtime.sizes import check_length, sized, sized_text
from grammar.runtime.text import display
from grammar.values import Char, Range, Steps

_BLANK: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
Changed = tuple[str, Any]


def length(_c: Budget, _d: int, s: str) -> int:
    """`len(s) -> int`. Code points."""
    return len(s)


def is_empty(_c: Budget, _d: int, s: str) -> bool:
    """`is_empty(s) -> bool`. Whether there is no char in it."""
    return not s


def byte_length(_c: Budget, _d: int, s: str) -> int:
    """`bytes(s) -> int`. Bytes in UTF-8."""
    return len(s.encode())


def to_upper(c: Budget, _d: int, s: str) -> str:
    """`to_upper(s) -> string`. In capitals; a char gives a char."""
    upper = s.upper()
    return Char(upper) if isinstance(s, Char) and len(upper) == 1 else sized_text(c, upper)


def to_lower(c: Budget, _d: int, s: str) -> str:
    """`to_lower(s) -> string`. In small letters; a char gives a char."""
    lower = s.lower()
    return Char(lower) if isinstance(s, Char) and len(lower) == 1 else sized_text(c, lower)


def make_upper(c: Budget, d: int, s: str) -> Changed:
    """`make_upper(s)`. Changes s to capitals."""
    return to_upper(c, d, s), None


def make_lower(c: Budget, d: int, s: str) -> Changed:
    """`make_lower(s)`. Changes s to small letters."""
    return to_lower(c, d, s), None


def trim(_c: Budget, _d: int, s: str) -> Changed:
    """`trim(s) -> string`. Changes s, and gives it too."""
    trimmed = s.strip(_BLANK)
    return trimmed, trimmed


def trim_silently(_c: Budget, _d: int, s: str) -> Changed:
    """`trim(s)`, as plain Rhai has it. Changes s."""
    return s.strip(_BLANK), None


def contains(c: Budget, _d: int, s: str, part: str) -> bool:
    """`contains(s, part) -> bool`. Whether the part, a string or a char, occurs."""
    c.charge(1 + len(s) // 64)
    return part in s


def starts_with(_c: Budget, _d: int, s: str, part: str) -> bool:
    """`starts_with(s, part) -> bool`. Whether s begins with the part."""
    return s.startswith(part)


def ends_with(_c: Budget, _d: int, s: str, part: str) -> bool:
    """`ends_with(s, part) -> bool`. Whether s ends with the part."""
    return s.endswith(part)


def index_of(c: Budget, _d: int, s: str, part: str, start: int = 0) -> int:
    """`index_of(s, part[, start]) -> int`. The first position, or -1."""
    c.charge(1 + len(s) // 64)
    first = clamp(start, len(s))
    return -1 if first >= len(s) and s else s.find(part, first)


def sub_string(_c: Budget, _d: int, s: str, start: int, count: int | None = None) -> str:
    """`sub_string(s, start[, len]) -> string`. A part; to the end without len."""
    first, last = slice_of(len(s), start, count)
    return s[first:last]


def sub_string_range(_c: Budget, _d: int, s: str, span: Range) -> str:
    """`sub_string(s, range) -> string`. The part of that range."""
    first, last = range_of(len(s), span)
    return s[first:last]


def crop(c: Budget, d: int, s: str, start: int, count: int | None = None) -> Changed:
    """`crop(s, start[, len])`. Changes s to that part."""
    return sub_string(c, d, s, start, count), None


def crop_range(c: Budget, d: int, s: str, span: Range) -> Changed:
    """`crop(s, range)`. Changes s to that part."""
    return sub_string_range(c, d, s, span), None


def get(_c: Budget, _d: int, s: str, at: int) -> Any:
    """`get(s, i) -> char`. The char there; unit outside."""
    return Char(s[at]) if -len(s) <= at < len(s) else None


def set_char(_c: Budget, _d: int, s: str, at: int, new: str) -> Changed:
    """`set(s, i, char)`. Changes the char there; nothing outside."""
    if not -len(s) <= at < len(s):
        return s, None
    at %= len(s)
    return s[:at] + new + s[at + 1 :], None


def replace(c: Budget, _d: int, s: str, old: str, new: str) -> Changed:
    """`replace(s, old, new)`. Changes every occurrence. Raises limit_data_size."""
    growth = s.count(old) * max(0, len(new) - len(old))
    check_length(c, len(s) + growth, what="string")
    return sized_text(c, s.replace(old, new)), None


def remove(_c: Budget, _d: int, s: str, part: str) -> Changed:
    """`remove(s, part)`. Changes s: every occurrence goes."""
    return (s.replace(part, "") if part else s), None


def clear(_c: Budget, _d: int, _s: str) -> Changed:
    """`clear(s)`. Changes s to the empty string."""
    return "", None


def truncate(_c: Budget, _d: int, s: str, count: int) -> Changed:
    """`truncate(s, n)`. Keeps the first n."""
    return s[: max(0, count)], None


def append(c: Budget, _d: int, s: str, more: Any) -> Changed:
    """`append(s, x)`. Puts x behind s, as `print` writes it. Raises limit_data_size."""
    return sized_text(c, s + display(c, more)), None


def pop(_c: Budget, _d: int, s: str) -> Changed:
    """`pop(s) -> char`. Removes and gives the last char; unit when empty."""
    return (s[:-1], Char(s[-1])) if s else (s, None)


def pop_many(_c: Budget, _d: int, s: str, count: int) -> Changed:
    """`pop(s, n) -> string`. Removes and gives the last n."""
    at = max(0, len(s) - max(0, count))
    return s[:at], s[at:]


def pad(c: Budget, _d: int, s: str, count: int, fill: str) -> Changed:
    """`pad(s, len, fill)`. Changes s to exactly that many. Raises limit_data_size."""
    missing = count - len(s)
    if missing <= 0 or not fill:
        return s, None
    check_length(c, count, what="string")
    return sized_text(c, s + (fill * (missing // len(fill) + 1))[:missing]), None


def split_blank(c: Budget, _d: int, s: str) -> Any:
    """`split(s) -> array`. At white space."""
    c.charge(1 + len(s) // 16)
    return sized(c, s.split())


def split_at(_c: Budget, _d: int, s: str, at: int) -> Any:
    """`split(s, i) -> array`. Two parts, cut at that position."""
    first = clamp(at, len(s))
    return [s[:first], s[first:]]


def split(c: Budget, _d: int, s: str, separator: str, count: int | None = None) -> Any:
    """`split(s, sep[, n]) -> array`. At most n pieces. Raises limit_data_size."""
    c.charge(1 + len(s) // 16)
    return sized(c, _pieces(s, separator, count))


def split_rev(c: Budget, _d: int, s: str, separator: str, count: int | None = None) -> Any:
    """`split_rev(s, sep[, n]) -> array`. From the right."""
    c.charge(1 + len(s) // 16)
    if not separator:
        pieces = _pieces(s, separator, None)[::-1]
        return sized(c, pieces)
    limit = -1 if count is None else max(0, count - 1)
    return sized(c, s.rsplit(separator, limit)[::-1])


def _pieces(s: str, separator: str, count: int | None) -> list[str]:
    limit = None if count is None else max(0, count - 1)
    if separator:
        return s.split(separator, -1 if limit is None else limit)
    whole = ["", *s, ""]
    if limit is None or limit >= len(whole) - 1:
        return whole
    return [*whole[:limit], "".join(whole[limit:])]


def to_chars(c: Budget, _d: int, s: str) -> Any:
    """`to_chars(s) -> array`. Its chars."""
    c.charge(len(s) // 2)
    return sized(c, [Char(item) for item in s])


def chars(c: Budget, _d: int, s: str, start: int = 0, count: int | None = None) -> Any:
    """`chars(s[, start[, len]])`. For `for`: the chars of that part."""
    first, last = slice_of(len(s), start, count)
    c.charge((last - first) // 2)
    return Steps([Char(item) for item in s[first:last]])


def chars_range(c: Budget, _d: int, s: str, span: Range) -> Any:
    """`chars(s, range)`. For `for`: the chars of that part."""
    first, last = range_of(len(s), span)
    c.charge((last - first) // 2)
    return Steps([Char(item) for item in s[first:last]])


def minimum(_c: Budget, _d: int, a: str, b: str) -> str:
    """`min(a, b)`. The first of two strings or two chars, by code points."""
    return min(a, b)


def maximum(_c: Budget, _d: int, a: str, b: str) -> str:
    """`max(a, b)`. The last of two strings or two chars, by code points."""
    return max(a, b)


def _change(name: str, parameters: tuple[Any, ...], function: Any) -> Entry:
    return Entry(name, parameters, function, changes=True, replaces=True)


ENTRIES: Final = (
    Entry("len", (STRING,), length), Entry("is_empty", (STRING,), is_empty),
    Entry("bytes", (STRING,), byte_length),
    Entry("to_upper", (TEXT,), to_upper), Entry("to_lower", (TEXT,), to_lower),
    _change("make_upper", (TEXT,), make_upper), _change("make_lower", (TEXT,), make_lower),
    Entry("contains", (STRING, TEXT), contains), Entry("starts_with", (STRING, TEXT), starts_with),
    Entry("ends_with", (STRING, TEXT), ends_with), Entry("index_of", (STRING, TEXT), index_of),
    Entry("index_of", (STRING, TEXT, INT), index_of),
    Entry("sub_string", (STRING, INT), sub_string),
    Entry("sub_string", (STRING, INT, INT), sub_string),
    Entry("sub_string", (STRING, RANGE), sub_string_range), _change("crop", (STRING, INT), crop),
    _change("crop", (STRING, INT, INT), crop), _change("crop", (STRING, RANGE), crop_range),
    Entry("get", (STRING, INT), get), _change("set", (STRING, INT, CHAR), set_char),
    _change("replace", (STRING, TEXT, TEXT), replace), _change("remove", (STRING, TEXT), remove),
    _change("clear", (STRING,), clear), _change("truncate", (STRING, INT), truncate),
    _change("append", (STRING, ANY), append), _change("pop", (STRING,), pop),
    _change("pop", (STRING, INT), pop_many), _change("pad", (STRING, INT, TEXT), pad),
    Entry("split", (STRING,), split_blank), Entry("split", (STRING, INT), split_at),
    Entry("split", (STRING, TEXT), split), Entry("split", (STRING, TEXT, INT), split),
    Entry("split_rev", (STRING, TEXT), split_rev),
    Entry("split_rev", (STRING, TEXT, INT), split_rev),
    Entry("to_chars", (STRING,), to_chars), Entry("chars", (STRING,), chars),
    Entry("chars", (STRING, INT), chars), Entry("chars", (STRING, INT, INT), chars),
    Entry("chars", (STRING, RANGE), chars_range), Entry("min", (STRING, STRING), minimum),
    Entry("min", (CHAR, CHAR), minimum), Entry("max", (STRING, STRING), maximum),
    Entry("max", (CHAR, CHAR), maximum),
)  # fmt: skip
DIALECT_ENTRIES: Final = (
    _change("trim", (STRING,), trim), Entry("length", (STRING,), length),
)  # fmt: skip
RHAI_ENTRIES: Final = (_change("trim", (STRING,), trim_silently),)
