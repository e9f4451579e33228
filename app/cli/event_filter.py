"""Which events `event tail` shows: by source, correlation, text, and a condition of our language.

In: the options, an event's document. Out: whether it is wanted. Refuses (CommandError) a condition
that is none, and shows the place. Events for which a condition cannot be answered are not wanted,
and are counted; a condition has the limits that those of flows have.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from actors.errors import ActorsError
from actors.events import Event, correlation_of, parse_event
from actors.nodes.scope import build_scope
from app.errors import CommandError
from grammar import Budget, GrammarError, Limits, Program, compile_condition

NAME: Final = "--where"
TEXT_CHARS_MAX: Final = 4096
LIMITS: Final = Limits(operations=20_000, wall_ms=5.0)


@dataclass(frozen=True, slots=True)
class Where:
    """Whose events these are, for conditions that ask."""

    env: str
    tenant: str


class EventFilter:
    """Judges events; those that match every part that is set are wanted."""

    def __init__(
        self,
        place: Where,
        *,
        source: str | None = None,
        correlation: str | None = None,
        grep: str | None = None,
        condition: str | None = None,
    ) -> None:
        self._place = place
        self._source = source
        self._correlation = correlation
        self._grep = None if grep is None else grep.casefold()
        self._program = None if condition is None else _compiled(condition)
        self.unanswered = 0
        """Events for which the condition could not be answered."""
        self.first_fault: str | None = None

    @property
    def is_set(self) -> bool:
        """Tell whether it leaves anything out."""
        parts = (self._source, self._correlation, self._grep, self._program)
        return any(part is not None for part in parts)

    def wants(self, document: Any) -> bool:
        """Tell whether an event, as it stands on the bus, is wanted."""
        if not self.is_set:
            return True
        try:
            event = parse_event(document)
        except ActorsError:
            return False
        if self._source not in (None, event.source):
            return False
        if self._correlation not in (None, event.id, correlation_of(event)):
            return False  # what comes of an event has its id, unless it names another one itself
        if self._grep is not None and self._grep not in _text(document):
            return False
        return self._program is None or self._holds(self._program, event)

    def _holds(self, program: Program, event: Event) -> bool:
        scope = build_scope(
            event,
            env=self._place.env,
            tenant=self._place.tenant,
            now_seconds=event.timestamp // 1000,
            variables={},
        )
        try:
            return program.run(scope, Budget(LIMITS)) is True
        except GrammarError as error:
            self.unanswered += 1
            self.first_fault = self.first_fault or str(error)
            return False


def _compiled(text: str) -> Program:
    if len(text) > TEXT_CHARS_MAX:
        raise CommandError(f"a condition of {NAME} has at most {TEXT_CHARS_MAX} characters")
    try:
        return compile_condition(text, name=NAME, limits=LIMITS)
    except GrammarError as error:
        raise CommandError(
            f"{NAME} is no condition\n{error.render()}",
            hint=f"like {NAME} 'payload.total > 100 && event.source == \"webhook\"'",
        ) from None


def _text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False).casefold()
