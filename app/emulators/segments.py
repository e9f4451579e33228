"""How many text messages a text takes: 160 characters of GSM 03.38, or 70 of UCS-2.

In: a text. Out: a count. A text in several parts gives seven characters of each, or three, to the
parts' numbers.

Source: 3GPP TS 23.038, 6.2.1 (the alphabet and its extension table).
"""

from typing import Final

_ALPHABET: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
_GSM_ALONE: Final = 160
_GSM_PART: Final = 153
_UCS2_ALONE: Final = 70
_UCS2_PART: Final = 67


def count_segments(text: str) -> int:
    """Give how many messages it takes; an empty text takes one."""
    if all(char in _ALPHABET or char in _EXTENSION for char in text):
        length, alone, part = sum(1 + (c in _EXTENSION) for c in text), _GSM_ALONE, _GSM_PART
    else:
        length = len(text.encode("utf-16-le", "replace")) // 2
        alone, part = _UCS2_ALONE, _UCS2_PART
    return 1 if length <= alone else -(-length // part)
