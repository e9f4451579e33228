"""Doors to the outside world: each provider verifies requests and makes events of them.

In: a bundle's provider options and raw requests. Out: options checked all at once, signatures
checked over raw bytes, normalized events. Refuses what is unsigned, malformed or not its own.
Inside this package import the modules, not this door.
"""

from app.providers.catalog import PROVIDERS, build_provider, find_provider
from app.providers.provider import InboundProvider, InboundRoute, ProviderSpec, RawRequest

__all__ = [
    "PROVIDERS",
    "InboundProvider",
    "InboundRoute",
    "ProviderSpec",
    "RawRequest",
    "build_provider",
    "find_provider",
]
