"""An HttpCaller that answers from a script of a test."""

from collections.abc import Callable

from actors.ports import HttpRequest, HttpResponse

Respond = Callable[[HttpRequest], HttpResponse]


class MemoryHttp:
    """Remembers calls and answers with ``respond``, which may raise a NodeError."""

    def __init__(self, respond: Respond | None = None) -> None:
        self.calls: list[tuple[str, HttpRequest]] = []
        self._respond = respond or (lambda _: HttpResponse(200, {}, b""))

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:
        """Answer one call."""
        self.calls.append((tenant, request))
        return self._respond(request)
