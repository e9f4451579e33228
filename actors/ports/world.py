"""What nodes and actors need of the rest of the world: state, HTTP, secrets, time, names.

In: a request. Out: the answer of the world. Twins of all of them are in `actors.testing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.errors import PermanentError

# ── The world behind nodes ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StateScope:
    """Whose state: the tenant's, a team's or a session's."""

    tenant: str
    team: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A stored value with the revision that a compare-and-set names; absent is revision 0."""

    value: Any
    revision: int


STATE_KEY_BYTES_MAX: Final = 256
STATE_VALUE_BYTES_MAX: Final = 256 * 1024
"""A stored value, written as JSON (SPEC 13, like a node's output)."""
STATE_TTL_SECONDS_MAX: Final = 10 * 366 * 86_400


STATE_WRITE_ID_SECONDS: Final = 300
"""How long a write is known by its id; longer than a delivery takes to come again (ack_wait)."""


class StateStore(Protocol):
    """Durable key-value state of flows. Keys are any text up to `STATE_KEY_BYTES_MAX`.

    PermanentError: a key (`state.key`) or ttl (`state.ttl`) out of bounds, a value that is no JSON
    (`state.value`) or larger than `STATE_VALUE_BYTES_MAX` (`too_large`).
    """

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        """Read; an absent or expired key is ``StateEntry(None, revision)``."""
        ...

    async def put(
        self,
        scope: StateScope,
        key: str,
        value: Any,
        *,
        revision: int | None = None,
        ttl_seconds: float | None = None,
        write_id: str | None = None,
    ) -> bool:
        """Write; with ``revision`` only if nobody wrote since (False tells that somebody did).

        ``write_id`` names the write for `STATE_WRITE_ID_SECONDS`: the same one again changes
        nothing, whatever has been written since, and is True.
        """
        ...

    async def delete(self, scope: StateScope, key: str, *, write_id: str | None = None) -> None:
        """Forget the key; an absent one is no error. ``write_id`` as for `put`."""
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An outbound call. ``url`` is absolute http(s); ``body`` is what goes over the wire."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    timeout_seconds: float = 30.0
    """To the whole answer, waiting and repeating included."""
    body_bytes_max: int = 256 * 1024
    redirects_max: int = 0
    """How many redirects are followed; past it, and by default, a 3xx is the answer."""
    hides_host: bool = False
    """Whether a secret is part of the host's name, so that no observation may say it."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The answer, read whole within ``HttpRequest.body_bytes_max``; header names lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpCaller(Protocol):
    """Calls out. Any status is an answer, not an error."""

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:
        """Send the request and read the answer.

        TransientError: no connection, so nothing was sent (`http.connect`); no answer, so nobody
        knows (`http.timeout`, `http.broken`); or a host that has not answered lately is left alone
        (`http.circuit_open`). PermanentError: the request was refused
        (`http.refused`) or the body is too large (`too_large`).
        """
        ...


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One action of a provider (`send`), as a flow asks for it."""

    tenant: str
    provider: str
    action: str
    arguments: Mapping[str, Any]
    idempotency_key: str
    """The same when the step is repeated."""
    timeout_seconds: float = 30.0


class ProviderActions(Protocol):
    """Actions of outbound providers."""

    async def perform(self, request: ActionRequest) -> Mapping[str, Any]:
        """Perform one action and give its receipt, a JSON object.

        TransientError: may be repeated. PermanentError: never will work, like arguments that the
        action does not take (`action.bad_argument`) or a provider that is off (`action.off`).
        """
        ...


class NoProviderActions:
    """For worlds without providers: every one is off."""

    async def perform(self, request: ActionRequest) -> Mapping[str, Any]:
        """Refuse."""
        raise PermanentError(f"{request.provider} is not enabled", reason="action.off")


class Ticks(Protocol):
    """What the stream remembers of a timer: its last stored tick is the record of its firing."""

    async def last_stored_tick(self, tenant: str, event_type: str) -> int | None:
        """Give the scheduled time of the last tick stored, in ms; None if it never fired."""
        ...


SECRET_BYTES_MAX: Final = 64 * 1024
"""A secret, as UTF-8."""


class Secrets(Protocol):
    """A tenant's secrets. Values go into outbound calls only.

    PermanentError: a name that cannot be one (`secret.name`), a stored value that this process
    cannot open (`secret.unreadable`). No text repeats a value.
    """

    async def get(self, tenant: str, name: str) -> str | None:
        """Give the secret, or None where there is none of that name."""
        ...


class NoSecrets:
    """For worlds without a secret store: there are none."""

    async def get(self, tenant: str, name: str) -> str | None:  # noqa: ARG002
        """Find nothing."""
        return None


# ── Time, names, observation ────────────────────────────────────────────────────────────────────


class Clock(Protocol):
    """The only source of time."""

    def now_ms(self) -> int:
        """Wall clock: milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back, for measuring and waiting."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; returns at once for zero or less."""
        ...


class Ids(Protocol):
    """The only source of fresh identities."""

    def event_id(self) -> str:
        """Give a new ULID."""
        ...


class Observer(Protocol):
    """Hears what happened (`actors.observations`); must be quick and must not raise."""

    def observe(self, observation: object) -> None:
        """Take one observation."""
        ...
