"""Who sends and who receives text messages, as Twilio writes them.

In: a text. Out: the same text. Refuses, with ValueError, what has not the form. Only the form is
looked at: whether a number is assigned, and to whom, is Twilio's to say (PROTOCOLS, E.164).
"""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

URL_CHARS_MAX: Final = 2048

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_SENDER_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +\-_&]{1,11}")
"""An alphanumeric sender id has at least one letter."""
_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")


def is_e164(text: str) -> bool:
    """Tell whether a text has the form of an international number, like ``+14155550123``."""
    return _E164.fullmatch(text) is not None


def check_number(text: str) -> str:
    """Refuse what is no number in E.164."""
    if not is_e164(text):
        raise ValueError("must be a number like +14155550123 (E.164)")
    return text


def check_sender(text: str) -> str:
    """Refuse what can be no sender: a number, a short code or an alphanumeric sender id."""
    if not (is_e164(text) or _SHORT_CODE.fullmatch(text) or _SENDER_ID.fullmatch(text)):
        raise ValueError(
            "must be a number like +14155550123, a short code or a sender id of up to 11 letters"
        )
    return text


def check_account_sid(text: str) -> str:
    """Refuse what is no account's SID."""
    if not _ACCOUNT_SID.fullmatch(text):
        raise ValueError("must be AC and 32 hex digits")
    return text


def check_service_sid(text: str) -> str:
    """Refuse what is no Messaging Service's SID."""
    if not _SERVICE_SID.fullmatch(text):
        raise ValueError("must be MG and 32 hex digits")
    return text


def check_url(text: str) -> str:
    """Refuse what Twilio could not fetch: anything but an http(s) URL with a host, in ASCII."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be a URL that begins with https:// or http://")
    if len(text) > URL_CHARS_MAX:
        raise ValueError(f"is longer than {URL_CHARS_MAX} characters")
    return text


Number = Annotated[str, AfterValidator(check_number)]
Sender = Annotated[str, AfterValidator(check_sender)]
AccountSid = Annotated[str, AfterValidator(check_account_sid)]
ServiceSid = Annotated[str, AfterValidator(check_service_sid)]
Url = Annotated[str, AfterValidator(check_url)]
