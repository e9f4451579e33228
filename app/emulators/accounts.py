"""The credentials that the emulators know: those of the bundle in force.

In: the options of its providers. Out: `Accounts`. For a bundle that has none, fresh ones are made:
development needs no account, and still every request is signed as in production.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from app.providers.email_sendgrid.options import InboundParseOptions, SendGridOptions
from app.providers.sms_twilio.options import TwilioOptions

SENDGRID_NAME: Final = "events-email-sendgrid"
SMTP_NAME: Final = "events-email-smtp"
TWILIO_NAME: Final = "events-sms-twilio"

DEV_NUMBER: Final = "+15005550006"
"""Twilio's own number for tests that is always a valid sender."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What providers log in with, and what they expect to be signed with; None: not enabled."""

    account_sid: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    from_number: str | None = None
    api_key: str | None = field(default=None, repr=False)
    inbound_email: str | None = None
    """The address that mails come in for, unless another is named."""
    inbound_token: str | None = field(default=None, repr=False)


def accounts_of(options: Mapping[str, BaseModel]) -> Accounts:
    """Read the credentials of checked options, by provider."""
    twilio, sendgrid = options.get(TWILIO_NAME), options.get(SENDGRID_NAME)
    found: dict[str, Any] = {}
    if isinstance(twilio, TwilioOptions):
        token = twilio.auth_token
        found["account_sid"] = twilio.account_sid
        found["auth_token"] = None if token is None else token.get_secret_value()
        found["from_number"] = twilio.from_number
    if isinstance(sendgrid, SendGridOptions):
        key = sendgrid.api_key
        found["api_key"] = None if key is None else key.get_secret_value()
        found["inbound_email"] = sendgrid.from_email
        found["inbound_token"] = _inbound_token(sendgrid)
    return Accounts(**found)


def dev_options() -> dict[str, dict[str, Any]]:
    """Make raw options, as in ``answers.json``, for a bundle that names none; secrets are fresh."""
    return {
        TWILIO_NAME: {
            "account_sid": f"AC{secrets.token_hex(16)}",
            "auth_token": secrets.token_hex(16),
            "from_number": DEV_NUMBER,
            "status_callback": True,
        },
        SENDGRID_NAME: {
            "api_key": f"SG.{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}",
            "from_email": "dev@example.org",
            "inbound_parse": {"token": secrets.token_urlsafe(24)},
        },
        SMTP_NAME: {"host": "localhost", "tls": "none", "from_email": "dev@example.org"},
    }


def _inbound_token(options: SendGridOptions) -> str | None:
    parse = options.inbound_parse
    if isinstance(parse, InboundParseOptions) and parse.token is not None:
        return parse.token.get_secret_value()
    return None
