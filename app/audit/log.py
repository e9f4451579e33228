"""Writing the audit log: one entry for each change, before the change.

In: entries. Out: nothing, once the stream has them. Refuses a change that cannot be written down:
`AuditLog.change` raises UnavailableError, and the change is not begun. What nobody may ever find
out about must not happen; who cannot reach the log can hardly reach the stores, as both are in the
same NATS.

Two kinds of change go on without their entry, with an error in the log and a count: those that take
power away (``is_urgent``: a leaked key must be revocable while the log is full), and what the
program does of itself (`tell`: a running business does not stop since its diary is full).

An entry is known by its id, which is its message id, so that a repeat is no second entry. Nothing
here changes or deletes one; the stream refuses that too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from actors.errors import ActorsError, UnavailableError
from actors.ports import Clock, Observer
from actors.subjects import audit_subject
from app.audit.entry import OURSELVES, AuditEntry, Who, encode_entry
from app.bus.acked_publisher import AckedPublisher
from app.bus.headers import JSON_CONTENT, MESSAGE_ID
from app.bus.storing import wait_all
from app.bus.wire import build_headers
from app.errors import AppError

PENDING_MAX: Final = 100
"""Entries of `tell` that are on their way at once; more are lost, and counted."""
UNKNOWN_ERROR: Final = "app.unexpected"


@dataclass(frozen=True, slots=True)
class AuditLost:
    """An entry could not be written, and its change went on: the text names all but the values."""

    action: str
    tenant: str | None
    actor: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is about to be done, but for who does it and when."""

    action: str
    tenant: str | None
    target: str
    before: Any = None
    after: Any = None


class AuditLog:
    """The audit log of one env."""

    def __init__(
        self, publisher: AckedPublisher, clock: Clock, observer: Observer, *, env: str
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._observer = observer
        self._env = env
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, entry: AuditEntry) -> None:
        """Return once it is stored. UnavailableError; the same entry again is one entry."""
        future = await self._publisher.publish_when_room(
            audit_subject(self._env, entry.tenant, entry.action),
            encode_entry(entry),
            build_headers(((MESSAGE_ID, f"audit:{entry.id}"), JSON_CONTENT)),
        )
        await wait_all([future])

    @asynccontextmanager
    async def change(
        self, who: Who, change: Change, *, is_urgent: bool = False
    ) -> AsyncIterator[AuditEntry]:
        """Write down what the body is about to do, and afterwards that it failed, if it does."""
        entry = self.entry(who, change)
        try:
            await self.record(entry)
        except UnavailableError as error:
            if not is_urgent:
                raise _refusal(error) from error
            self._lose(entry, error)
        try:
            yield entry
        except Exception as error:
            await self._record_failure(entry, error)
            raise

    def entry(self, who: Who, change: Change) -> AuditEntry:
        """Make the entry of a change, as of now."""
        return AuditEntry(
            actor=who.actor,
            action=change.action,
            tenant=change.tenant,
            target=change.target,
            before=change.before,
            after=change.after,
            at_ms=self._clock.now_ms(),
            source=who.source,
        )

    def tell(self, change: Change) -> None:
        """Write down what the program did of itself, in the background."""
        entry = self.entry(OURSELVES, change)
        if len(self._tasks) >= PENDING_MAX:
            self._lose(entry, UnavailableError("too many entries are on their way"))
            return
        task = asyncio.create_task(self._record_anyway(entry), name="audit")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is on its way; the publisher's deadline bounds that."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _record_failure(self, entry: AuditEntry, error: Exception) -> None:
        code = error.code if isinstance(error, AppError | ActorsError) else UNKNOWN_ERROR
        failure = self.entry(
            Who(entry.actor, entry.source), Change(entry.action, entry.tenant, entry.target)
        )
        await self._record_anyway(replace(failure, error=code, of=entry.id))

    async def _record_anyway(self, entry: AuditEntry) -> None:
        try:
            await self.record(entry)
        except UnavailableError as error:
            self._lose(entry, error)

    def _lose(self, entry: AuditEntry, error: Exception) -> None:
        lost = AuditLost(entry.action, entry.tenant, entry.actor, entry.target, str(error))
        self._observer.observe(lost)


def _refusal(error: UnavailableError) -> UnavailableError:
    text = f"the audit log does not take entries, so nothing was changed: {error}"
    return UnavailableError(text, retry_after_seconds=error.retry_after_seconds)
