"""Twilio's error codes, sorted into what may work later and what never will.

In: an answer of the API, or the code of a status callback. Out: a `NodeError`, or a kind. One table
decides. A code that is not in it is permanent in an answer of the 4xx, and transient with 408, 429
and 5xx, whose repetition the caller pays for with a message that may arrive twice.

Sources: twilio.com/docs/api/errors/CODE for each code; …/docs/usage/rest-api-best-practices
for 429 and 5xx; PROTOCOLS, Twilio Messages API, for the split.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from actors.errors import NodeError, PermanentError, TransientError
from actors.nodes.retry_after import delay_seconds
from actors.ports import HttpResponse

TRANSIENT: Final = "transient"
PERMANENT: Final = "permanent"

TEXT_CHARS_MAX: Final = 400
MAYBE_SENT: Final = "sms.maybe_sent"
"""No answer came: Twilio may have taken the message, and a repeat may send it a second time."""

_TOO_MANY: Final = 429
_REQUEST_TIMEOUT: Final = 408
_SERVER_ERRORS: Final = range(500, 600)

CODES: Final[Mapping[int, tuple[str, str]]] = {
    # What the API answers.
    14107: (TRANSIENT, "sms.rate_limited"),  # 30 messages between two numbers in 30 s
    20003: (PERMANENT, "sms.unauthorized"),  # account SID or auth token are wrong
    20005: (PERMANENT, "sms.account_inactive"),
    20404: (PERMANENT, "sms.not_found"),
    20429: (TRANSIENT, "sms.rate_limited"),
    20500: (TRANSIENT, "sms.unavailable"),
    20503: (TRANSIENT, "sms.unavailable"),
    21211: (PERMANENT, "sms.invalid_to"),
    21212: (PERMANENT, "sms.invalid_from"),
    21408: (PERMANENT, "sms.region_off"),  # no permission for the recipient's region
    21602: (PERMANENT, "sms.empty"),
    21603: (PERMANENT, "sms.no_sender"),
    21604: (PERMANENT, "sms.invalid_to"),
    21606: (PERMANENT, "sms.invalid_from"),  # not this account's, or cannot send texts
    21608: (PERMANENT, "sms.unverified_to"),  # a trial account sends to verified numbers only
    21610: (PERMANENT, "sms.opted_out"),  # the recipient said STOP
    21611: (TRANSIENT, "sms.queue_full"),  # ten hours of messages wait already
    21612: (PERMANENT, "sms.unreachable"),
    21614: (PERMANENT, "sms.not_mobile"),
    21617: (PERMANENT, "sms.too_long"),
    21620: (PERMANENT, "sms.invalid_media"),
    21623: (PERMANENT, "sms.too_many_media"),
    21703: (PERMANENT, "sms.no_sender"),  # the Messaging Service has no number
    21730: (TRANSIENT, "sms.unavailable"),  # maintenance
    # What becomes of a message later: in status callbacks.
    30001: (TRANSIENT, "sms.queue_full"),
    30002: (PERMANENT, "sms.account_inactive"),
    30003: (PERMANENT, "sms.unreachable"),  # switched off or out of reach: sometimes passes
    30004: (PERMANENT, "sms.blocked"),
    30005: (PERMANENT, "sms.unknown_handset"),
    30006: (PERMANENT, "sms.not_mobile"),
    30007: (PERMANENT, "sms.filtered"),
    30008: (TRANSIENT, "sms.undelivered"),  # unknown to the carrier as well
    30022: (TRANSIENT, "sms.rate_limited"),  # the campaign's rate at US carriers
    63017: (TRANSIENT, "sms.rate_limited"),
    63038: (TRANSIENT, "sms.rate_limited"),  # the account's messages of this day
}


def kind_of(code: int) -> str | None:
    """Give `TRANSIENT` or `PERMANENT` for a code of the table, else None."""
    entry = CODES.get(code)
    return None if entry is None else entry[0]


def failure_of(response: HttpResponse, *secrets: str) -> NodeError:
    """Make the error of an answer that is no success; its text has Twilio's own words."""
    document = decode_object(response.body)
    code = whole(document.get("code"))
    said = document.get("message")
    words = " ".join(said.split()) if isinstance(said, str) else ""
    for secret in secrets:
        words = words.replace(secret, "***")
    named = f"{response.status}" if code is None else f"{response.status}, error {code}"
    text = f"Twilio answered {named}{': ' + words if words else ''}"
    kind, reason = _sort(response.status, code)
    return error_of(kind, reason, _shortened(text), delay_seconds(response.headers))


def failure_of_message(document: Mapping[str, Any]) -> NodeError | None:
    """Make the error of a message that was created and has failed already; None if it has not."""
    code = whole(document.get("error_code"))
    if document.get("status") != "failed" and code is None:
        return None
    kind, reason = CODES.get(code or 0, (PERMANENT, "sms.refused"))
    named = "without a code" if code is None else f"with error {code}"
    return error_of(kind, reason, f"the message failed at once, {named}")


def error_of(
    kind: str, reason: str, text: str, retry_after_seconds: float | None = None
) -> NodeError:
    """Make the error of a kind."""
    if kind == TRANSIENT:
        return TransientError(text, reason=reason, retry_after_seconds=retry_after_seconds)
    return PermanentError(text, reason=reason)


def decode_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; an empty one for anything else."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def whole(value: object) -> int | None:
    """Give a small whole number, written as one or as text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 9 and value.isascii() and value.isdigit():  # noqa: PLR2004 - fits any code
        return int(value)
    return None


def _sort(status: int, code: int | None) -> tuple[str, str]:
    entry = None if code is None else CODES.get(code)
    if entry is not None:
        return entry
    if status == _TOO_MANY:
        return TRANSIENT, "sms.rate_limited"
    if status == _REQUEST_TIMEOUT or status in _SERVER_ERRORS:
        return TRANSIENT, "sms.unavailable"
    return PERMANENT, "sms.refused"


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"
