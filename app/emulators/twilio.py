"""The part of Twilio's API that sends text messages.

In: requests of the Messages API. Out: its answers, messages in the outbox, status callbacks. Knows
one account: the bundle's. Refuses other credentials, and what Twilio refuses (`twilio_rules`).

Source: twilio-oai, /2010-04-01/Accounts/{sid}/Messages.json (PROTOCOLS).
"""

import secrets
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.ports import Clock
from app.emulators.accounts import Accounts
from app.emulators.outbox import SMS, Outbox, OutboxMessage
from app.emulators.requests import BodyTooLongError, basic_of, is_same, read_body, respond
from app.emulators.segments import count_segments
from app.emulators.status_reports import Reported, StatusReports
from app.emulators.twilio_rules import (
    AUTHENTICATE,
    NOT_FOUND,
    TOO_LARGE,
    Message,
    Refusal,
    read_message,
)
from app.providers.signatures.twilio_urls import split_form

PATH: Final = "/twilio"
API: Final = "/2010-04-01/Accounts/"
BODY_BYTES_MAX: Final = 128 * 1024
FIELDS_MAX: Final = 200


class TwilioEmulator:
    """Takes messages for one account."""

    def __init__(
        self,
        accounts: Callable[[], Accounts],
        outbox: Outbox,
        reports: StatusReports,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._outbox = outbox
        self._reports = reports
        self._clock = clock

    def routes(self) -> list[Route]:
        """Give the routes, below `PATH`."""
        account = f"{PATH}{API}{{account}}"
        return [
            Route(f"{account}/Messages.json", self._send, methods=["POST"]),
            Route(f"{account}/Messages/{{sid}}.json", self._fetch, methods=["GET"]),
            Route(f"{account}.json", self._account, methods=["GET"]),
        ]

    async def _send(self, request: Request) -> Response:
        accounts = self._log_in(request)
        if accounts is None:
            return _refuse(AUTHENTICATE)
        try:
            body = await read_body(request, BODY_BYTES_MAX)
        except BodyTooLongError:
            return _refuse(TOO_LARGE)
        fields = _decode_form(body)
        message = read_message(fields)
        if isinstance(message, Refusal):
            return _refuse(message)
        sid = f"{'MM' if message.media else 'SM'}{secrets.token_hex(16)}"
        document = self._document(sid, message, accounts)
        self._outbox.add(self._kept(sid, message, {"form": fields, "answer": document}, len(body)))
        reported = Reported(sid, accounts.account_sid or "", accounts.auth_token or "", message)
        self._reports.begin(reported)
        return respond(document, 201)

    async def _fetch(self, request: Request) -> Response:
        if self._log_in(request) is None:
            return _refuse(AUTHENTICATE)
        kept = self._outbox.find(request.path_params["sid"])
        if kept is None or kept.kind != SMS:
            return _refuse(NOT_FOUND)
        return respond(kept.raw["answer"])

    async def _account(self, request: Request) -> Response:
        accounts = self._log_in(request)
        if accounts is None:
            return _refuse(AUTHENTICATE)
        return respond(
            {
                "sid": accounts.account_sid,
                "friendly_name": "The emulator of greentic-events",
                "status": "active",
                "type": "Full",
                "uri": f"{API}{accounts.account_sid}.json",
            }
        )

    def _log_in(self, request: Request) -> Accounts | None:
        """Compare the credentials with the account's, and the account with the path's."""
        accounts, given = self._accounts(), basic_of(request)
        if given is None or accounts.account_sid is None or accounts.auth_token is None:
            return None
        is_user = is_same(given[0], accounts.account_sid)
        is_token = is_same(given[1], accounts.auth_token)
        is_path = request.path_params["account"] == accounts.account_sid
        return accounts if is_user and is_token and is_path else None

    def _document(self, sid: str, message: Message, accounts: Accounts) -> dict[str, Any]:
        date = formatdate(self._clock.now_ms() / 1000)
        uri = f"{API}{accounts.account_sid}/Messages/{sid}"
        return {
            "account_sid": accounts.account_sid,
            "api_version": "2010-04-01",
            "body": message.body,
            "date_created": date,
            "date_sent": None,
            "date_updated": date,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": message.sender,
            "messaging_service_sid": message.service,
            "num_media": str(len(message.media)),
            "num_segments": str(count_segments(message.body)),
            "price": None,
            "price_unit": "USD",
            "sid": sid,
            "status": "queued" if message.service is None else "accepted",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }

    def _kept(
        self, sid: str, message: Message, raw: dict[str, Any], size_bytes: int
    ) -> OutboxMessage:
        return OutboxMessage(
            id=sid,
            kind=SMS,
            via="twilio",
            at_ms=self._clock.now_ms(),
            sender=message.sender or message.service or "",
            to=(message.to,),
            body=message.body,
            attachments=[{"url": url} for url in message.media],
            raw=raw,
            size_bytes=3 * size_bytes,
        )


def _decode_form(body: bytes) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in split_form(body)[:FIELDS_MAX]:
        fields.setdefault(name.decode("utf-8", "replace"), []).append(
            value.decode("utf-8", "replace")
        )
    return fields


def _refuse(refusal: Refusal) -> Response:
    return respond(refusal.as_document(), refusal.status)
