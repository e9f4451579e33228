"""Text of strangers in the charsets they name.

In: bytes and a charset's name. Out: text, and whether it is what was written. Refuses nothing: an
unknown charset is read as UTF-8, and what does not fit becomes U+FFFD. Python knows codecs that are
no charsets (``unicode_escape``, ``punycode``, ``utf-7``); only charsets of mails are looked up.
"""

import codecs
import re
from functools import lru_cache
from typing import Final

CHARSET_CHARS_MAX: Final = 40

_CHARSETS: Final = re.compile(
    r"ascii|utf-8|utf-16(?:-[bl]e)?|utf-32(?:-[bl]e)?|iso8859-\d+|cp\d{3,4}|koi8-[rtu]|mac-[a-z]+"
    r"|big5(?:hkscs)?|gb2312|gbk|gb18030|hz|shift_jis\w*|euc_\w+|iso2022_\w+|johab|tis-620|kz1048"
    r"|ptcp154"
)
"""Canonical names of Python's codecs."""


def decode_text(content: bytes, charset: str) -> tuple[str, bool]:
    """Decode; False tells that the charset is unknown or the bytes are not of it."""
    codec = _codec(charset)
    try:
        return content.decode(codec or "utf-8"), codec is not None
    except (UnicodeError, LookupError):
        return content.decode(codec or "utf-8", "replace"), False


@lru_cache(maxsize=128)
def _codec(charset: str) -> str | None:
    """Give Python's name for a charset, or None for what is none; no name at all is UTF-8."""
    name = charset.strip().strip("\"'").lower()
    if not name:
        return "utf-8"
    if len(name) > CHARSET_CHARS_MAX or not name.isascii() or "\x00" in name:
        return None
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return found if _CHARSETS.fullmatch(found) else None
