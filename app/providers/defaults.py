"""What most providers say about their routes: a base to derive from, for those who agree.

In: nothing. Out: the parts of `InboundProvider` and `OutboundProvider` that seldom differ.
"""

from typing import Final

from actors.outcomes import Answer
from app.providers.provider import HttpAnswer

BODY_BYTES_MAX: Final = 768 * 1024
"""SPEC 13. Not to be raised: the stored event must fit the bus's ``max_payload`` of 1 MiB."""


class InboundDefaults:
    """Bodies up to SPEC 13's limit, 5 s for a flow's answer, and the answers of SPEC 9."""

    sync_timeout_seconds: float = 5.0

    def body_bytes_max(self, route: str) -> int:  # noqa: ARG002 - the same for every route
        """Give the largest body taken."""
        return BODY_BYTES_MAX

    def answer(self, route: str, reply: Answer | None) -> HttpAnswer | None:  # noqa: ARG002
        """Leave the answer to SPEC 9."""
        return None


class OutboundDefaults:
    """Holds no connections of its own."""

    async def close(self) -> None:
        """Have nothing to give back."""
