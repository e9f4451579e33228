"""Provider actions that answer from a script of a test."""

from collections.abc import Callable, Mapping
from typing import Any

from actors.ports import ActionRequest

Respond = Callable[[ActionRequest], Mapping[str, Any]]


class MemoryActions:
    """Remembers requests and answers with ``respond``, which may raise a NodeError."""

    def __init__(self, respond: Respond | None = None) -> None:
        self.requests: list[ActionRequest] = []
        self._respond = respond or (lambda _: {"status": "accepted"})

    async def perform(self, request: ActionRequest) -> Mapping[str, Any]:
        """Answer one request."""
        self.requests.append(request)
        return self._respond(request)
