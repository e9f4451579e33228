"""Calls out of the process: one guarded HTTP client for flows and providers.

In: requests of tenants. Out: answers. Refuses what leads to addresses that no tenant has any
business with. Inside this package import the modules, not this door.
"""

from app.outbound.caller import GuardedCaller
from app.outbound.policy import EgressPolicy
from app.outbound.resolver import Resolver, SystemResolver

__all__ = ["EgressPolicy", "GuardedCaller", "Resolver", "SystemResolver"]
