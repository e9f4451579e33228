"""The routes by which a developer's tools use the emulators.

In: requests with the token of ``emulators.json``. Out: the outbox; what our ingress answered to a
message that was made up. Refuses every request without the token, and malformed ones.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.emulators.outbox import EMAIL, MESSAGES_MAX, SMS, Outbox
from app.emulators.receiving import ReceiveEmail, Receiver, ReceiveSms
from app.emulators.requests import (
    BodyTooLongError,
    bearer_of,
    decode_object,
    is_same,
    read_body,
    respond,
)

BODY_BYTES_MAX: Final = 40 * 1024 * 1024
"""A mail of 30 MB in base64."""
COUNT_DEFAULT: Final = 100

Model = TypeVar("Model", bound=BaseModel)
Endpoint = Callable[[Request], Awaitable[Response]]


class ControlRoutes:
    """The outbox, and what comes in."""

    def __init__(self, token: str, outbox: Outbox, receiver: Receiver) -> None:
        self._token = token
        self._outbox = outbox
        self._receiver = receiver

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/outbox", self._guarded(self._list), methods=["GET"]),
            Route("/outbox/{id}", self._guarded(self._show), methods=["GET"]),
            Route("/receive/sms", self._guarded(self._receive_sms), methods=["POST"]),
            Route("/receive/email", self._guarded(self._receive_email), methods=["POST"]),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            token = bearer_of(request)
            if token is None or not is_same(token, self._token):
                return _problem(401, "the token of emulators.json is missing or wrong")
            return await endpoint(request)

        return answer

    async def _list(self, request: Request) -> Response:
        kind, count = request.query_params.get("kind"), request.query_params.get("count", "")
        if kind not in (None, EMAIL, SMS):
            return _problem(422, f"kind is {EMAIL} or {SMS}")
        is_number = count.isascii() and count.isdigit() and len(count) < 10  # noqa: PLR2004
        count_max = min(int(count), MESSAGES_MAX) if is_number else COUNT_DEFAULT
        found = self._outbox.newest(kind=kind, count_max=count_max)
        return respond(
            {
                "messages": [message.as_summary() for message in found],
                "kept": len(self._outbox),
                "dropped": self._outbox.dropped,
            }
        )

    async def _show(self, request: Request) -> Response:
        message = self._outbox.find(request.path_params["id"])
        if message is None:
            return _problem(404, "there is no such message in the outbox")
        return respond(message.as_document())

    async def _receive_sms(self, request: Request) -> Response:
        return await _with_document(request, ReceiveSms, self._receiver.receive_sms)

    async def _receive_email(self, request: Request) -> Response:
        return await _with_document(request, ReceiveEmail, self._receiver.receive_email)


async def _with_document(
    request: Request, model: type[Model], act: Callable[[Model], Awaitable[dict[str, Any]]]
) -> Response:
    try:
        document = decode_object(await read_body(request, BODY_BYTES_MAX))
        if document is None:
            return _problem(422, "the body is no JSON object")
        checked = model.model_validate(document)
    except BodyTooLongError:
        return _problem(413, "the message is too large")
    except ValidationError as error:
        return _problem(422, "; ".join(_texts(error)))
    return respond(await act(checked))


def _texts(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_url=False, include_input=False)
    ]


def _problem(status: int, text: str) -> Response:
    return respond({"error": text}, status)
