"""Doors to the outside world: each provider verifies requests, makes events of them, and acts.

In: a bundle's provider options, raw requests, action calls. Out: options checked all at once,
signatures checked over raw bytes, normalized events, receipts. Refuses what is unsigned, malformed
or not its own. Packages that bring a provider import this door alone; inside this package import
the modules.
"""

from app.providers.catalog import build_provider, find_provider, provider_specs
from app.providers.defaults import InboundDefaults, OutboundDefaults
from app.providers.json_body import decode_json_body
from app.providers.provider import (
    ActionCall,
    ActionSpec,
    Blob,
    HttpAnswer,
    Inbound,
    InboundProvider,
    InboundRequest,
    InboundRoute,
    OutboundProvider,
    Provider,
    ProviderContext,
    ProviderSpec,
)

__all__ = [
    "ActionCall",
    "ActionSpec",
    "Blob",
    "HttpAnswer",
    "Inbound",
    "InboundDefaults",
    "InboundProvider",
    "InboundRequest",
    "InboundRoute",
    "OutboundDefaults",
    "OutboundProvider",
    "Provider",
    "ProviderContext",
    "ProviderSpec",
    "build_provider",
    "decode_json_body",
    "find_provider",
    "provider_specs",
]
