"""What authentication observes; `app.observability.rules` says what becomes of it."""

from dataclasses import dataclass
from typing import Literal

Whom = Literal["address", "prefix"]
"""What was locked: where wrong keys came from, or the prefix that they claimed."""


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """A request's API key was refused: ``unknown``, ``locked``, ``tenant`` or ``scope``."""

    reason: str


@dataclass(frozen=True, slots=True)
class GuessingLocked:
    """Too many wrong keys: nothing is judged from there, or under that prefix, for a while."""

    by: Whom
    what: str
    """An address or network, or a prefix; never a secret."""
    failures: int
    seconds: float
