"""What the ingress needs of the rest of the process, as Protocols.

In: nothing. Out: the shapes of a tenant's door, of a waiting webhook and of readiness. The real
ones are actors and the bus; this package never imports them.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from actors.outcomes import Answer, Ended
from actors.ports import Ids, NormalizedEvent, PublishAck
from app.providers.provider import Blob, Provider


class IngressDoor(Protocol):
    """A tenant's way in: checks the quota and stores."""

    def answering_flows(self, event_type: str) -> int:
        """How many flows take events of this type and could answer a waiting webhook."""
        ...

    async def accept(
        self,
        provider: str,
        normalized: NormalizedEvent,
        *,
        event_id: str,
        reply_to: str | None,
    ) -> PublishAck:
        """Return once the event is stored. The door bounds how long that may take.

        InvalidEventError: not an event. QuotaExceededError: later. UnavailableError,
        ActorStoppedError, MailboxFullError: nothing is known to be stored.
        """
        ...


class AnswerWaiter(Protocol):
    """The inbox of one waiting webhook."""

    @property
    def reply_to(self) -> str:
        """The subject workers answer on, see `actors.subjects.reply_subject`."""
        ...

    async def next_message(self, timeout_seconds: float) -> Answer | Ended | None:
        """Give what came next, None when nothing did within the time."""
        ...


class AnswerInbox(Protocol):
    """Where answers to this process's webhooks arrive."""

    def open(self, event_id: str) -> AbstractContextManager[AnswerWaiter]:
        """Listen for one event's answers until the context ends. Before publishing the event."""
        ...


class BlobStore(Protocol):
    """Keeps what is too large for an event."""

    async def put(self, tenant: str, blob: Blob) -> None:
        """Return once it is stored; the same name again is the same content."""
        ...


@dataclass(frozen=True, slots=True)
class IngressPorts:
    """Everything the ingress asks, looked up anew for each request: bundles change."""

    doors: Callable[[str], IngressDoor | None]
    """The door of a tenant, None for a tenant that does not exist."""
    providers: Callable[[str, str], Provider | None]
    """A tenant's enabled provider by its name, None where it is disabled."""
    answers: AnswerInbox
    blobs: BlobStore
    ids: Ids


ReadinessCheck = Callable[[], Sequence[str]]
"""Why the process is not ready, one sentence each; empty when it is. Must be quick."""


def always_ready() -> Sequence[str]:
    """Find nothing wrong: for a process whose roles need nothing else."""
    return ()
