"""What a provider is: its spec, and the two steps its door takes, verify and normalize.

In: options and requests. Out: the vocabulary every provider and the ingress share. A new provider
is one folder with a `ProviderSpec` and one line in ``app.providers.catalog``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from actors.ports import InboundRequest, NormalizedEvent


@dataclass(frozen=True, slots=True)
class RawRequest:
    """What arrived, nothing believed yet. Header names are lower-case, values decoded as latin-1.

    A header that came twice has its values joined with ``", "`` (RFC 9110 5.3), which no single
    signature can look like.
    """

    event_type: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """One public route of a provider, as a method and a path with ``{tenant}`` in it."""

    method: str
    path: str


class InboundProvider(Protocol):
    """A provider with its options, ready to take requests in. Also an `actors.ports.Normalizer`."""

    @property
    def name(self) -> str:
        """The provider's name in a bundle, ``events-webhook``."""
        ...

    @property
    def body_bytes_max(self) -> int:
        """The largest body its routes take."""
        ...

    @property
    def sync_timeout_seconds(self) -> float:
        """How long a request waits for a flow's answer; 0 never waits."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What the operator should hear once at start, one sentence each."""
        ...

    def verify(self, request: RawRequest) -> str | None:
        """Check the signature over the raw bytes; give the matching entry's name, or None.

        None means that no signature was asked for. SignatureError for everything else.
        """
        ...

    def normalize(self, request: InboundRequest) -> NormalizedEvent:
        """Make an event of a verified request; InvalidEventError names the field that is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider as the catalogue knows it: what it is called, takes and offers."""

    name: str
    summary: str
    routes: tuple[InboundRoute, ...]
    options_model: type[BaseModel]
    build: Callable[[Any, str], InboundProvider]
    """Make a provider of checked options and an env; raises SettingsError."""
