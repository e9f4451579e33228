"""Sending by Twilio's Messages API.

In: an action's checked arguments. Out: a receipt: ``sid``, ``status`` and what Twilio says of the
message. Refuses with PermanentError what Twilio refuses for good, and with TransientError what it
may take later (`failures`). The API has no idempotency key: a step repeated after a lost answer may
send a message twice, and such an error says so (`sms.maybe_sent`).

Source: twilio-oai, POST /2010-04-01/Accounts/{sid}/Messages.json (PROTOCOLS).
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from actors.errors import NodeError, PermanentError, TransientError
from actors.ports import HttpCaller, HttpRequest, HttpResponse
from app.providers.provider import ActionCall
from app.providers.sms_twilio.arguments import SendArguments
from app.providers.sms_twilio.failures import (
    MAYBE_SENT,
    decode_object,
    failure_of,
    failure_of_message,
    whole,
)
from app.providers.sms_twilio.options import TwilioOptions

API_BASE: Final = "https://api.twilio.com"
API_PATH: Final = "/2010-04-01/Accounts/"
STATUS_ROUTE: Final = "/events/sms/twilio/{tenant}/status"

CHECK_TENANT: Final = "-"
"""Calls of `setup` belong to no tenant; no tenant can have this name."""
CHECK_TIMEOUT_SECONDS: Final = 10.0
ANSWER_BYTES_MAX: Final = 256 * 1024

_OK: Final = 200
_SUCCESS: Final = frozenset({200, 201})
_LOST: Final = frozenset({"http.timeout", "http.broken"})
"""Failures after which nobody knows whether the request arrived."""


class TwilioSender:
    """Performs `send`."""

    __slots__ = ("_account", "_authorization", "_base", "_callback_base", "_http", "_options")

    def __init__(
        self, options: TwilioOptions, http: HttpCaller, base: str, callback_base: str | None
    ) -> None:
        self._options = options
        self._http = http
        self._account = options.account_sid or ""
        self._base = f"{base.rstrip('/')}{API_PATH}{self._account}"
        self._callback_base = callback_base
        pair = f"{self._account}:{self._token}".encode()
        self._authorization = ("authorization", f"Basic {base64.b64encode(pair).decode()}")

    async def perform(self, call: ActionCall) -> Mapping[str, Any]:
        """Hand one message over; the receipt says that Twilio took it, not that it arrived."""
        arguments = call.arguments
        if not isinstance(arguments, SendArguments):
            raise TypeError(f"{type(arguments).__name__} are no arguments of a text message")
        request = HttpRequest(
            method="POST",
            url=f"{self._base}/Messages.json",
            headers=(
                self._authorization,
                ("content-type", "application/x-www-form-urlencoded"),
                ("accept", "application/json"),
            ),
            body=urlencode(self._fields(arguments, call.tenant)).encode(),
            timeout_seconds=call.timeout_seconds,
            body_bytes_max=ANSWER_BYTES_MAX,
        )
        return self._receipt(await self._post(call.tenant, request))

    async def check(self) -> Sequence[str]:
        """Ask Twilio whether the credentials work and the account is active."""
        request = HttpRequest(
            method="GET",
            url=f"{self._base}.json",
            headers=(self._authorization, ("accept", "application/json")),
            timeout_seconds=CHECK_TIMEOUT_SECONDS,
            body_bytes_max=ANSWER_BYTES_MAX,
        )
        try:
            response = await self._http.call(CHECK_TENANT, request)
        except NodeError as error:
            return (f"Twilio does not answer: {error}",)
        if response.status != _OK:
            return (f"the credentials do not work: {failure_of(response, self._token)}",)
        status = decode_object(response.body).get("status")
        problems = [] if status == "active" else [f"the account is not active, but {status!r}"]
        if self._options.from_number is None and self._options.messaging_service_sid is None:
            problems.append("from_number or messaging_service_sid is missing: nothing can be sent")
        return tuple(problems)

    async def close(self) -> None:
        """Do nothing: connections belong to the HTTP client."""

    @property
    def _token(self) -> str:
        secret = self._options.auth_token
        return "" if secret is None else secret.get_secret_value()

    async def _post(self, tenant: str, request: HttpRequest) -> HttpResponse:
        try:
            return await self._http.call(tenant, request)
        except TransientError as error:
            if error.reason not in _LOST:
                raise
            text = f"{error}: Twilio may have taken the message, a repeat may send it twice"
            raise TransientError(
                text, reason=MAYBE_SENT, retry_after_seconds=error.retry_after_seconds
            ) from error

    def _fields(self, arguments: SendArguments, tenant: str) -> list[tuple[str, str]]:
        fields = [("To", arguments.to), *self._sender(arguments)]
        if arguments.body:
            fields.append(("Body", arguments.body))
        fields += [("MediaUrl", url) for url in arguments.media_url]
        callback = arguments.status_callback or self._own_callback(tenant)
        if callback is not None:
            fields.append(("StatusCallback", callback))
        return fields

    def _sender(self, arguments: SendArguments) -> list[tuple[str, str]]:
        """Choose who sends: what the call names, else what the options name."""
        sender, service = arguments.from_number, arguments.messaging_service_sid
        if sender is None and service is None:
            service = self._options.messaging_service_sid
            sender = self._options.from_number if service is None else None
        if sender is None and service is None:
            text = "a message needs a sender: from_number here or in the options"
            raise PermanentError(text, reason="sms.no_sender")
        named = (("MessagingServiceSid", service), ("From", sender))
        return [(name, value) for name, value in named if value is not None]

    def _own_callback(self, tenant: str) -> str | None:
        if self._callback_base is None:
            return None
        return self._callback_base + STATUS_ROUTE.format(tenant=tenant)

    def _receipt(self, response: HttpResponse) -> dict[str, Any]:
        if response.status not in _SUCCESS:
            raise failure_of(response, self._token)
        document = decode_object(response.body)
        sid = document.get("sid")
        if not isinstance(sid, str):
            # It was a success, so the message is on its way: a repeat would send another one.
            text = f"Twilio answered {response.status} and named no message"
            raise PermanentError(text, reason="sms.unreadable")
        if (failure := failure_of_message(document)) is not None:
            raise failure
        kept = ("sid", "status", "to", "from", "messaging_service_sid", "date_created")
        receipt: dict[str, Any] = {name: document.get(name) for name in kept}
        # Twilio writes these as text.
        receipt["num_segments"] = whole(document.get("num_segments"))
        receipt["num_media"] = whole(document.get("num_media"))
        return receipt
