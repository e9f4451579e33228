"""Which writes a stored value has behind it: short marks that travel with the value itself.

In: the id of a write, and the marks of the value before. Out: the marks of the value after; whether
a write is among them. Refuses nothing: a text that is none of ours holds no marks.

Why with the value: the server knows message ids too, but looks at the expected revision first, so
to it a repeated compare-and-set is a conflict; and once it begins anew it has forgotten the id of
every message that is stored no more (both measured on 2.15.1). What is stored with the value is as
true as the value.

The text is ``{second}:{marks}`` for each second that had writes, seconds since the epoch in base
36, marks of eight characters: 48 bits of a hash. With each write those go that are older than
`STATE_WRITE_ID_SECONDS`, but for the last few: after a long outage, everything that was under way
comes again. The oldest of more than `WRITES_CHARS_MAX` characters go too: a value that is written
2,000 times knows no longer what came before.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from actors.ports import STATE_WRITE_ID_SECONDS

WRITES_CHARS_MAX: Final = 16 * 1024
KEPT_MIN: Final = 16
"""So many of a value's last writes are known however long ago they were."""

_MARK_CHARS: Final = 8
_MARK_BYTES: Final = 6
_BASE: Final = 36
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_SECOND = re.compile(r"([0-9a-z]{1,12}):((?:[A-Za-z0-9_-]{8})+)")


@dataclass(frozen=True, slots=True)
class WriteIds:
    """The writes of one value, by the second they were made in, ascending."""

    seconds: tuple[tuple[int, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "WriteIds":
        """Read what `as_text` wrote."""
        found = (_SECOND.fullmatch(part) for part in text.split(" "))
        return cls(tuple((int(one[1], _BASE), one[2]) for one in found if one))

    def as_text(self) -> str:
        """Write them as one line of printable characters; empty for none."""
        return " ".join(f"{_in_base_36(second)}:{marks}" for second, marks in self.seconds)

    def knows(self, write_id: str) -> bool:
        """Tell whether this write is among them."""
        mark = _mark(write_id)
        return any(mark in _split(marks) for _, marks in reversed(self.seconds))

    def with_write(self, write_id: str, now_ms: int) -> "WriteIds":
        """Add a write, and let go what is too old or too much."""
        now = now_ms // 1000
        seconds = list(self.seconds)
        if seconds and seconds[-1][0] == now:
            seconds[-1] = (now, seconds[-1][1] + _mark(write_id))
        else:
            seconds.append((now, _mark(write_id)))
        return WriteIds(tuple(_cut(_recent(seconds, now - STATE_WRITE_ID_SECONDS))))


def _recent(seconds: list[tuple[int, str]], oldest: int) -> list[tuple[int, str]]:
    """Keep what is younger than ``oldest``, and the last `KEPT_MIN` writes or more."""
    kept = 0
    for place in range(len(seconds) - 1, -1, -1):
        second, marks = seconds[place]
        if second <= oldest and kept >= KEPT_MIN * _MARK_CHARS:
            return seconds[place + 1 :]
        kept += len(marks)
    return seconds


def _cut(seconds: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Keep the newest that fit; counting eight characters for each second is enough."""
    room = WRITES_CHARS_MAX
    kept: list[tuple[int, str]] = []
    for second, marks in reversed(seconds):
        room -= _MARK_CHARS
        whole = room // _MARK_CHARS * _MARK_CHARS
        if whole <= 0:
            break
        kept.append((second, marks[-whole:]))
        room -= len(kept[-1][1])
    return kept[::-1]


def _split(marks: str) -> list[str]:
    return [marks[start : start + _MARK_CHARS] for start in range(0, len(marks), _MARK_CHARS)]


def _mark(write_id: str) -> str:
    digest = hashlib.blake2b(write_id.encode(), digest_size=_MARK_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _in_base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, _BASE)
        digits = _DIGITS[digit] + digits
    return digits or "0"
