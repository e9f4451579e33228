"""The part of SendGrid's API that sends mails.

In: requests of v3/mail/send and v3/scopes. Out: 202 with a message id, mails in the outbox. Refuses
requests without the bundle's API key, and what SendGrid refuses (`sendgrid_rules`). No events come
back for a mail: they would have to be signed with SendGrid's own private key.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.ports import Clock
from app.emulators.accounts import Accounts
from app.emulators.outbox import EMAIL, Outbox, OutboxMessage
from app.emulators.requests import (
    BodyTooLongError,
    bearer_of,
    decode_object,
    is_same,
    read_body,
    respond,
)
from app.emulators.sendgrid_rules import Problem, addresses_of, is_sandboxed, problems_of

PATH: Final = "/sendgrid"
BODY_BYTES_MAX: Final = 30 * 1024 * 1024
SCOPES: Final = ("mail.send", "mail.batch.create", "templates.read", "sender_verification_eligible")
TEXT_CHARS_MAX: Final = 64 * 1024
"""What is kept of a text, and of every text in ``raw``."""

_UNAUTHORIZED: Final = Problem(None, "The provided authorization grant is invalid or missing")
_TOO_LARGE: Final = Problem(None, "The request is larger than 30 MB")
_NO_JSON: Final = Problem(None, "Bad Request: the body is no JSON object")


class SendGridEmulator:
    """Takes mails for the bundle's API key."""

    def __init__(self, accounts: Callable[[], Accounts], outbox: Outbox, clock: Clock) -> None:
        self._accounts = accounts
        self._outbox = outbox
        self._clock = clock

    def routes(self) -> list[Route]:
        """Give the routes, below `PATH`."""
        return [
            Route(f"{PATH}/v3/mail/send", self._send, methods=["POST"]),
            Route(f"{PATH}/v3/scopes", self._scopes, methods=["GET"]),
        ]

    async def _send(self, request: Request) -> Response:
        if not self._is_known(request):
            return _refuse(401, [_UNAUTHORIZED])
        try:
            body = await read_body(request, BODY_BYTES_MAX)
        except BodyTooLongError:
            return _refuse(413, [_TOO_LARGE])
        mail = decode_object(body)
        if mail is None:
            return _refuse(400, [_NO_JSON])
        problems = problems_of(mail)
        if problems:
            return _refuse(400, problems)
        if is_sandboxed(mail):
            return Response(status_code=200)
        message_id = secrets.token_urlsafe(16)
        self._outbox.add(self._kept(message_id, mail))
        return Response(status_code=202, headers={"X-Message-Id": message_id})

    async def _scopes(self, request: Request) -> Response:
        if not self._is_known(request):
            return _refuse(401, [_UNAUTHORIZED])
        return respond({"scopes": list(SCOPES)})

    def _is_known(self, request: Request) -> bool:
        given, expected = bearer_of(request), self._accounts().api_key
        return given is not None and expected is not None and is_same(given, expected)

    def _kept(self, message_id: str, mail: Mapping[str, Any]) -> OutboxMessage:
        raw = _shortened(mail)
        first = mail["personalizations"][0]
        body, html = _content(mail, "text/plain"), _content(mail, "text/html")
        return OutboxMessage(
            id=message_id,
            kind=EMAIL,
            via="sendgrid",
            at_ms=self._clock.now_ms(),
            sender=mail["from"]["email"],
            to=addresses_of(mail),
            subject=str(first.get("subject") or mail.get("subject") or ""),
            body=body,
            html=html,
            attachments=[_attachment(each) for each in mail.get("attachments", ())],
            raw=raw,
            size_bytes=_size(raw) + len(body) + len(html),
        )


def _content(mail: Mapping[str, Any], kind: str) -> str:
    for each in mail.get("content") or ():
        if each["type"] == kind:
            return str(each["value"])[:TEXT_CHARS_MAX]
    return ""


def _attachment(entry: Mapping[str, Any]) -> dict[str, Any]:
    padding = entry["content"].count("=")
    return {
        "filename": entry["filename"],
        "type": entry.get("type"),
        "bytes": len(entry["content"]) // 4 * 3 - padding,
    }


def _shortened(value: Any) -> Any:
    """Copy a document with every text cut to what is kept."""
    if isinstance(value, str):
        if len(value) <= TEXT_CHARS_MAX:
            return value
        return f"{value[:TEXT_CHARS_MAX]}… ({len(value)} characters)"
    if isinstance(value, Mapping):
        return {key: _shortened(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_shortened(each) for each in value]
    return value


def _size(value: Any) -> int:
    """Estimate what a document takes: its texts, and something for each part."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(key) + _size(each) + 64 for key, each in value.items())
    if isinstance(value, Sequence):
        return sum(_size(each) + 64 for each in value)
    return 16


def _refuse(status: int, problems: Sequence[Problem]) -> Response:
    return respond({"errors": [problem.as_document() for problem in problems]}, status)
