"""What became of an erasure.

In: counts. Out: values with their JSON. Refuses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What was erased of one tenant, by store: messages, objects, consumers, streams.

    An erasure that was cut short and begun again tells what was left for it.
    """

    tenant: str
    erased: Mapping[str, int] = field(default_factory=dict)
    logins_revoked: int = 0
    keys_revoked: int = 0
    is_released: bool = True
    """Whether every live worker had let go of the tenant before its data was erased."""
    rounds: int = 1
    """More than one: somebody wrote while it was being erased."""
    seconds: float = 0.0

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        return {
            "tenant": self.tenant,
            "erased": dict(self.erased),
            "logins_revoked": self.logins_revoked,
            "keys_revoked": self.keys_revoked,
            "released": self.is_released,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 3),
        }
