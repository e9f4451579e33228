"""Doors to the outside world: each provider verifies requests, makes events of them, and acts.

In: a bundle's provider options, raw requests, action calls. Out: options checked all at once,
signatures checked over raw bytes, normalized events, receipts. Refuses what is unsigned, malformed
or not its own. Inside this package import the modules, not this door.
"""

from app.providers.catalog import build_provider, find_provider, provider_specs
from app.providers.provider import (
    InboundProvider,
    InboundRequest,
    InboundRoute,
    OutboundProvider,
    Provider,
    ProviderContext,
    ProviderSpec,
)

__all__ = [
    "InboundProvider",
    "InboundRequest",
    "InboundRoute",
    "OutboundProvider",
    "Provider",
    "ProviderContext",
    "ProviderSpec",
    "build_provider",
    "find_provider",
    "provider_specs",
]
