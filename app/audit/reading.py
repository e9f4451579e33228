"""Reading the audit log: pages by place, in either order, with filters.

In: a tenant, or all; filters. Out: entries with their places in the stream. Refuses names that are
no tokens; UnavailableError when nobody answers. A message of the log that is no entry, or that
stands under another tenant than it names, is shown as illegible and not left out: somebody who can
write to the stream must not be able to hide that.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from actors.errors import UnavailableError
from actors.subjects import audit_entries, audit_entries_of_all, audit_subject
from app.audit.entry import AuditEntry, decode_entry
from app.bus.direct import DirectReader, StoredMessage
from app.errors import StoreError

PAGE_MAX: Final = 1000
PAGE_DEFAULT: Final = 100
LOOKED_AT_MAX: Final = 10_000
"""Entries that one page looks through for those that match; the next page goes on."""
PLACE_MAX: Final = 10**18 - 1
PLATFORM_ACTOR: Final = "platform"
"""Stands in a tenant's view for people and keys of the platform: they are none of its business."""

_STEP: Final = 500
_ATTEMPTS_MAX: Final = 5

Order = Literal["newest", "oldest"]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None leaves a field open."""

    actor: str | None = None
    action: str | None = None
    """An action, or its first words: ``key`` means all that is done to keys."""
    since_ms: int | None = None
    until_ms: int | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Tell whether it is wanted."""
        if self.actor is not None and entry.actor != self.actor:
            return False
        if self.action is not None and not f"{entry.action}.".startswith(f"{self.action}."):
            return False
        is_late = self.until_ms is not None and entry.at_ms >= self.until_ms
        is_early = self.since_ms is not None and entry.at_ms < self.since_ms
        return not is_late and not is_early


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """A message of the log and its place; ``entry`` None: it is illegible."""

    sequence: int
    subject: str
    entry: AuditEntry | None

    def as_document(self) -> dict[str, Any]:
        """Give it for people and machines."""
        if self.entry is None:
            return {"sequence": self.sequence, "subject": self.subject, "illegible": True}
        return {"sequence": self.sequence, **self.entry.as_mapping()}

    def for_tenant(self) -> "KeptEntry":
        """Give it as its tenant may see it."""
        entry = self.entry
        if entry is None or entry.source not in {"cli", "platform-api"}:
            return self
        return replace(self, entry=replace(entry, actor=PLATFORM_ACTOR))


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, and where the next page begins; None: there is none."""

    entries: Sequence[KeptEntry]
    next_after: int | None


class AuditReader:
    """The audit log of one env, to be read."""

    def __init__(self, reader: DirectReader, *, env: str, stream: str) -> None:
        self._reader = reader
        self._env = env
        self._stream = stream

    async def page(
        self,
        tenant: str | None,
        which: AuditFilter,
        *,
        order: Order = "newest",
        after: int | None = None,
        limit: int = PAGE_DEFAULT,
        as_tenant: bool = False,
    ) -> AuditPage:
        """Give a page of a tenant's entries, or with None of all; ``limit`` is up to `PAGE_MAX`.

        ``as_tenant`` shows them as the tenant may see them; so do the filters.
        ``after`` is the last page's ``next_after``, in the same order. A page may be short, even
        empty, and still have a next one.
        """
        found: list[KeptEntry] = []
        looked_at = 0
        async for each in self.walk(tenant, order, after):
            kept = each.for_tenant() if as_tenant else each
            looked_at += 1
            if kept.entry is None or which.matches(kept.entry):
                if len(found) == limit:
                    return AuditPage(found, found[-1].sequence)
                found.append(kept)
            if looked_at == LOOKED_AT_MAX:
                return AuditPage(found, kept.sequence)
        return AuditPage(found, None)

    async def walk(
        self, tenant: str | None, order: Order, after: int | None = None
    ) -> AsyncIterator[KeptEntry]:
        """Give entries in order, from a place on; what is written meanwhile comes too."""
        pattern = (
            audit_entries_of_all(self._env) if tenant is None else audit_entries(self._env, tenant)
        )
        place = after
        while True:
            if order == "oldest":
                messages = await self._forward(pattern, (place or 0) + 1, _STEP)
            else:
                messages = await self._backward(pattern, place)
            for message in messages:
                yield self._keep(message)
            if not messages:
                return
            place = messages[-1].sequence

    async def _forward(self, pattern: str, start: int, count: int) -> Sequence[StoredMessage]:
        page = await self._reader.page(self._stream, pattern, from_sequence=start, count_max=count)
        return page.messages

    async def _backward(self, pattern: str, before: int | None) -> Sequence[StoredMessage]:
        """Give the last messages before a place, the newest first.

        The server reads forward only, but says how many more there are: so the place from which
        `_STEP` remain is looked for. What is written meanwhile makes it a place too late.
        """
        for _ in range(_ATTEMPTS_MAX):
            end = PLACE_MAX if before is None else before
            total = await self._count_from(pattern, 1)
            wanted = total - (0 if before is None else await self._count_from(pattern, end))
            if wanted <= 0:
                return ()
            start = await self._place_of(pattern, total - max(0, wanted - _STEP), end)
            messages = await self._forward(pattern, start, _STEP)
            found = [each for each in messages if each.sequence < end]
            if found:
                return found[::-1]
        raise UnavailableError("entries arrive faster than they can be read")

    async def _place_of(self, pattern: str, remaining: int, end: int) -> int:
        """Give the last place from which so many messages, or more, come."""
        low, high = 1, await self._last_place(pattern, end)
        while low < high:
            middle = (low + high + 1) // 2
            if await self._count_from(pattern, middle) >= remaining:
                low = middle
            else:
                high = middle - 1
        return low

    async def _last_place(self, pattern: str, end: int) -> int:
        """Give a place that nothing of the pattern comes after: by doubling."""
        place = 1
        while place < end and await self._count_from(pattern, place):
            place *= 2
        return min(place, end)

    async def _count_from(self, pattern: str, start: int) -> int:
        page = await self._reader.page(self._stream, pattern, from_sequence=start, count_max=1)
        return len(page.messages) + page.pending

    def _keep(self, message: StoredMessage) -> KeptEntry:
        try:
            entry = decode_entry(message.data)
        except StoreError:
            return KeptEntry(message.sequence, message.subject, None)
        if message.subject != audit_subject(self._env, entry.tenant, entry.action):
            return KeptEntry(message.sequence, message.subject, None)
        return KeptEntry(message.sequence, message.subject, entry)
