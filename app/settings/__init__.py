"""What the operator may set: defaults < ``greentic.toml`` < environment < flags (SPEC 10).

In: a file, the environment and flags. Out: frozen sections. Refuses unknown keys and what this
version lacks, all problems at once. Inside this package import the modules, not this door.
"""

from app.settings.loading import load_settings
from app.settings.sections import (
    LoggingSection,
    NatsSection,
    ServerSection,
    Settings,
    describe_settings,
)

__all__ = [
    "LoggingSection",
    "NatsSection",
    "ServerSection",
    "Settings",
    "describe_settings",
    "load_settings",
]
