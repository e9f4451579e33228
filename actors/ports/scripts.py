"""Scripts that ask for more than the event loop may give: what crosses to where they run.

In: a program as text, the values of the names it reads, the state it has read so far. Out: its
value, what it printed and what it wrote to the state; or the key of state that it wants next.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

from actors.errors import PermanentError
from grammar import Limits, SourceText

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class ScriptText:
    """A script with the shared texts whose functions it may call. Make one with `of`."""

    source: SourceText
    library: tuple[SourceText, ...]
    digest: str
    """Content hash of it all: whoever has compiled it once need not do so again."""

    @classmethod
    def of(cls, source: SourceText, library: tuple[SourceText, ...] = ()) -> Self:
        """Put a script and its library together."""
        total = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for text in (source, *library):
            for part in (text.name, text.text):
                data = part.encode()
                total.update(b"%d:" % len(data) + data)
        return cls(source, library, total.hexdigest())


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One evaluation."""

    tenant: str
    script: ScriptText
    scope: Mapping[str, Any]
    """JSON values of the names that the script reads, `state` apart."""
    limits: Limits
    state: Mapping[str, Any] | None = None
    """What is known of the state, None for keys without a value; None: it does not use `state`."""


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What a script came to."""

    value: Any
    printed: tuple[tuple[str, str], ...] = ()
    """Channel (``print``, ``debug``) and text, in order."""
    writes: Mapping[str, Any] = field(default_factory=dict)
    """What it wrote to the state; of a removed key None."""
    removed: frozenset[str] = frozenset()
    operations: int = field(default=0, compare=False)
    """What it was charged."""


@dataclass(frozen=True, slots=True)
class StateWanted:
    """The script read a key of state that the call did not bring: call again with it."""

    key: str
    operations: int = field(default=0, compare=False)
    """What it was charged until then."""


class ScriptPool(Protocol):
    """Runs scripts away from the event loop."""

    async def run(self, call: ScriptCall) -> ScriptResult | StateWanted:
        """Run one script; if cancelled, stop it.

        EvaluationError: the script failed, with the place. PermanentError: its value or what it
        wrote may not be carried. TransientError: too many scripts wait (`script.busy`), or the
        process that ran it ended (`script.worker_died`).
        """
        ...


class NoScriptPool:
    """For worlds without a pool: no script may ask for more than the event loop gives."""

    async def run(self, call: ScriptCall) -> ScriptResult | StateWanted:  # noqa: ARG002
        """Refuse."""
        raise PermanentError("this worker runs no scripts of that size", reason="script.no_pool")


class ScriptMeter(Protocol):
    """Counts what tenants' scripts use of the event loop. Quick; it must not raise."""

    def used(self, tenant: str, operations: int) -> None:
        """Count the operations of one script that ended, however it ended."""
        ...


class NoScriptMeter:
    """For worlds where nobody counts."""

    def used(self, tenant: str, operations: int) -> None:
        """Count nothing."""
