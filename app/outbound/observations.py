"""What the guard reports: refusals and circuits, never URLs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallRefused:
    """A tenant's call was not made; ``rule`` names why."""

    tenant: str
    rule: str


@dataclass(frozen=True, slots=True)
class CircuitOpened:
    """A host has failed a tenant so often that it is left alone for a while."""

    tenant: str
    host: str
