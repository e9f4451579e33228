"""Sending by SendGrid's v3 API.

In: an action's checked arguments. Out: a receipt: ``message_id``, ``status``. Refuses with
PermanentError what SendGrid refuses for good, and with TransientError what it may take later; the
texts have SendGrid's own words, bounded, and never the API key. The API has no idempotency key: a
step repeated after a lost answer may send a mail twice, and that error says so
(`email.maybe_sent`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.errors import NodeError, PermanentError, TransientError
from actors.nodes.retry_after import delay_seconds
from actors.ports import HttpCaller, HttpRequest, HttpResponse
from app.providers.email.address import Address
from app.providers.email.arguments import MailArguments
from app.providers.email.sender import MAYBE_SENT
from app.providers.email_sendgrid.mail import build_mail
from app.providers.provider import ActionCall

SEND_PATH: Final = "/v3/mail/send"
SCOPES_PATH: Final = "/v3/scopes"
SEND_SCOPE: Final = "mail.send"

ERROR_CHARS_MAX: Final = 500
ERRORS_MAX: Final = 5
CHECK_TIMEOUT_SECONDS: Final = 10.0
CHECK_TENANT: Final = "-"
"""Calls of `setup` belong to no tenant; no tenant can have this name."""

_NO_ANSWER: Final = frozenset({"http.timeout", "http.broken"})
"""What `HttpCaller` says of a request that may have arrived."""
_OK: Final = 200
_ACCEPTED: Final = 202
_TOO_MANY: Final = 429
_REQUEST_TIMEOUT: Final = 408
_SERVER_ERRORS: Final = range(500, 600)
_REASONS: Final[Mapping[int, str]] = {
    401: "email.unauthorized",
    403: "email.forbidden",
    413: "too_large",
}


class SendGridSender:
    """Performs `send` and `send_template`."""

    __slots__ = ("_api_key", "_base", "_http", "_sandbox", "_sender")

    def __init__(
        self, http: HttpCaller, base: str, api_key: str, sender: Address, *, sandbox: bool
    ) -> None:
        self._http = http
        self._base = base.rstrip("/")
        self._api_key = api_key
        self._sender = sender
        self._sandbox = sandbox

    async def perform(self, call: ActionCall) -> Mapping[str, Any]:
        """Hand one mail over; the receipt says that SendGrid took it, not that it arrived."""
        arguments = call.arguments
        if not isinstance(arguments, MailArguments):
            raise TypeError(f"{type(arguments).__name__} are no arguments of a mail")
        mail = build_mail(arguments, self._sender, sandbox=self._sandbox)
        request = HttpRequest(
            method="POST",
            url=self._base + SEND_PATH,
            headers=(*self._authorization(), ("content-type", "application/json")),
            body=_encode(mail),
            timeout_seconds=call.timeout_seconds,
        )
        return self._receipt(await self._post(call.tenant, request))

    async def check(self) -> Sequence[str]:
        """Ask SendGrid whether the key is one and may send; gives what is wrong."""
        request = HttpRequest(
            method="GET",
            url=self._base + SCOPES_PATH,
            headers=self._authorization(),
            timeout_seconds=CHECK_TIMEOUT_SECONDS,
        )
        try:
            response = await self._http.call(CHECK_TENANT, request)
        except NodeError as error:
            return (f"SendGrid does not answer: {error}",)
        if response.status != _OK:
            return (f"the API key does not work: {self._failure(response)}",)
        if SEND_SCOPE not in _scopes(response.body):
            return (f"the API key may not send: it lacks the scope {SEND_SCOPE}",)
        return ()

    async def close(self) -> None:
        """Do nothing: connections belong to the HTTP client."""

    async def _post(self, tenant: str, request: HttpRequest) -> HttpResponse:
        try:
            return await self._http.call(tenant, request)
        except TransientError as error:
            if error.reason not in _NO_ANSWER:
                raise
            text = f"{error}: SendGrid may have the mail, a repeat may send it twice"
            raise TransientError(
                text, reason=MAYBE_SENT, retry_after_seconds=error.retry_after_seconds
            ) from error

    def _authorization(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._api_key}"),)

    def _receipt(self, response: HttpResponse) -> dict[str, Any]:
        # 200 is the answer in sandbox mode; nothing is delivered and there is no message id.
        if response.status not in (_OK, _ACCEPTED):
            raise self._failure(response)
        status = "checked" if self._sandbox else "accepted"
        return {"message_id": response.headers.get("x-message-id"), "status": status}

    def _failure(self, response: HttpResponse) -> NodeError:
        status = response.status
        said = _errors_in(response.body).replace(self._api_key, "***")
        text = f"SendGrid answered {status}{': ' + said if said else ''}"
        if status == _TOO_MANY:
            retry_after = delay_seconds(response.headers)
            return TransientError(
                text, reason="email.rate_limited", retry_after_seconds=retry_after
            )
        if status in _SERVER_ERRORS or status == _REQUEST_TIMEOUT:
            retry_after = delay_seconds(response.headers)
            return TransientError(text, reason="email.unavailable", retry_after_seconds=retry_after)
        return PermanentError(text, reason=_REASONS.get(status, "email.refused"))


def _encode(mail: dict[str, Any]) -> bytes:
    try:
        return json.dumps(mail, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        text = "dynamic_data: holds a number or a text that JSON does not know"
        raise PermanentError(text, reason="action.bad_argument") from None


def _scopes(body: bytes) -> list[Any]:
    document = _document(body)
    scopes = document.get("scopes")
    return scopes if isinstance(scopes, list) else []


def _errors_in(body: bytes) -> str:
    """Give SendGrid's own words: each error's message and the field it is about."""
    errors = _document(body).get("errors")
    if not isinstance(errors, list):
        return ""
    texts = [_error_text(item) for item in errors[:ERRORS_MAX] if isinstance(item, dict)]
    said = " ".join("; ".join(filter(None, texts)).split())
    return said if len(said) <= ERROR_CHARS_MAX else said[: ERROR_CHARS_MAX - 1] + "…"


def _error_text(error: dict[str, Any]) -> str:
    message, field = error.get("message"), error.get("field")
    if not isinstance(message, str):
        return ""
    return f"{field}: {message}" if isinstance(field, str) and field else message


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
