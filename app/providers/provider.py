"""What a provider is: its spec, what it takes in, and what it does in the world.

In: options and requests. Out: the vocabulary every provider and the ingress share. A new provider
is one folder with a `ProviderSpec` and one line in ``app.providers.catalog``, or a package of its
own with an entry point in the group ``greentic.providers``.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from actors.errors import InvalidEventError
from actors.outcomes import Answer
from actors.ports import Clock, HttpCaller, NormalizedEvent

# ── Taking events in ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """What arrived, nothing believed yet. Header names are lower-case, values decoded as latin-1.

    A header that came twice has its values joined with ``", "`` (RFC 9110 5.3), which no single
    signature can look like.
    """

    headers: Mapping[str, str]
    body: bytes
    tenant: str = ""
    event_type: str = ""
    """The one in the URL; empty where the route has none."""
    route: str = ""
    """The name of the route it came by."""
    query: Mapping[str, str] = field(default_factory=dict)
    public_url: Callable[[], str] = lambda: ""
    """Gives the URL as the sender knows it, query and all: what signatures over URLs cover."""
    client: Callable[[], str] = lambda: ""
    """Gives the address it came from, as far as proxies that are trusted tell it."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole HTTP answer in the sender's own terms."""

    status: int
    media_type: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes too large for an event, to be stored under a name before the event that names them."""

    name: str
    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a verified request comes to."""

    events: Sequence[NormalizedEvent | InvalidEventError] = ()
    """In the request's order; an error stands for an item of a batch that is no event."""
    is_batch: bool = False
    """The sender hears the outcome of each item."""
    blobs: Sequence[Blob] = ()
    answer: HttpAnswer | None = None
    """For a request that is no event at all, like a handshake."""


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """One public route, as a name and a path with ``{tenant}``, and maybe ``{event_type}``, in it.

    It takes POST. Its path begins with ``/events/``.
    """

    name: str
    path: str


class InboundProvider(Protocol):
    """The half of a provider that takes events in. Pure: no I/O, quick."""

    def body_bytes_max(self, route: str) -> int:
        """Give the largest body a route takes."""
        ...

    @property
    def sync_timeout_seconds(self) -> float:
        """How long a request waits for a flow's answer; 0 never waits."""
        ...

    def verify(self, request: InboundRequest) -> str | None:
        """Check the signature over the raw bytes; give the matching key's name, or None.

        None means that no signature was asked for. SignatureError for everything else, hostile
        headers included.
        """
        ...

    def receive(self, request: InboundRequest, signature: str | None) -> Inbound:
        """Make events of a verified request.

        InvalidEventError names the field that is wrong; MediaTypeError, BadRequestError.
        """
        ...

    def answer(self, route: str, reply: Answer | None) -> HttpAnswer | None:
        """Put a flow's reply (None: there is none) in the sender's terms once its event is stored.

        None: the answers of SPEC 9 will do.
        """
        ...


# ── Doing things in the world ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action that flows may call with an `event` node."""

    name: str
    summary: str
    arguments: type[BaseModel]
    """Strict, extra keys forbidden. Checked once more after the templates in it are filled."""
    html_arguments: frozenset[str] = frozenset()
    """Arguments whose templates are escaped for HTML (SPEC 7)."""


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One action to be performed, its arguments checked by the action's model."""

    tenant: str
    action: str
    arguments: BaseModel
    idempotency_key: str
    """The same when the step is repeated."""
    timeout_seconds: float = 30.0


class OutboundProvider(Protocol):
    """The half of a provider that acts."""

    async def perform(self, call: ActionCall) -> Mapping[str, Any]:
        """Act and give the receipt, a JSON object.

        TransientError: may be repeated. PermanentError: never will work. Neither text repeats a
        secret.
        """
        ...

    async def close(self) -> None:
        """Give pooled connections back."""
        ...


# ── The whole of it ─────────────────────────────────────────────────────────────────────────────


class ApiKeys(Protocol):
    """The API keys of this process's tenants, as last read from the store."""

    def find_tenant(self, token: str, scope: str, address: str = "") -> str | None:
        """Give the tenant that a key with this scope belongs to; None: no such key. Never waits.

        LockedOutError: too many wrong keys came from the address. UnavailableError: nobody can
        tell now whether the key is in force.
        """
        ...


class NoApiKeys:
    """For processes without a key store: no token is a key."""

    def find_tenant(self, token: str, scope: str, address: str = "") -> str | None:  # noqa: ARG002
        """Find nothing."""
        return None


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider may use beside its own options."""

    env: str
    http: HttpCaller
    clock: Clock
    public_base_url: str | None = None
    """Where senders reach this host, without a slash at the end."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Base URLs that stand in for a provider's own API, by provider: the emulators of `--dev`."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """The bundle's own template files by their name below ``templates/``."""
    api_keys: ApiKeys = field(default_factory=NoApiKeys)


def _no_handshake(_headers: Mapping[str, str]) -> Mapping[str, str] | None:
    return None


async def _nothing_to_check() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider with its options, ready to be used."""

    name: str
    inbound: InboundProvider | None = None
    outbound: OutboundProvider | None = None
    handshake: Callable[[Mapping[str, str]], Mapping[str, str] | None] = _no_handshake
    """Answer an OPTIONS request's headers with headers; None: not allowed."""
    warnings: Sequence[str] = ()
    """What the operator should hear once at start, one sentence each."""
    check: Callable[[], Awaitable[Sequence[str]]] = _nothing_to_check
    """Ask the provider's service whether the options work; gives what is wrong, a sentence each."""


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider as the catalogue knows it: what it is called, takes and offers."""

    name: str
    summary: str
    options_model: type[BaseModel]
    """Frozen, strict, extra keys forbidden, ``enabled`` among its fields; `SecretStr` fields are
    the secrets that `setup` stores encrypted."""
    build: Callable[[Any, ProviderContext], Provider]
    """Make a provider of checked options; raises SettingsError."""
    routes: tuple[InboundRoute, ...] = ()
    actions: tuple[ActionSpec, ...] = ()
