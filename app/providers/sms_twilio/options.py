"""The options of ``events-sms-twilio`` (SPEC 6).

In: the provider's section of ``answers.json``. Out: checked options. Refuses unknown options,
missing credentials, and identifiers and numbers that have not the form.
"""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, model_validator

from app.providers.sms_twilio.numbers import AccountSid, Sender, ServiceSid

TOKEN_CHARS_MAX: Final = 256


def _check_token(value: SecretStr) -> SecretStr:
    token = value.get_secret_value()
    if not token or len(token) > TOKEN_CHARS_MAX or not (token.isascii() and token.isprintable()):
        raise ValueError("is no auth token")
    if " " in token:
        raise ValueError("is no auth token: there is a blank in it")
    return value


class TwilioOptions(BaseModel):
    """What a bundle says about its Twilio account."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    enabled: bool = True
    """Whether the provider exists at all; the routes of a disabled one answer 404."""
    account_sid: AccountSid | None = None
    """The account, `AC…`."""
    auth_token: Annotated[SecretStr, AfterValidator(_check_token)] | None = None
    """The account's auth token: it signs what Twilio posts and opens the API."""
    from_number: Sender | None = None
    """Who messages come from: a number, a short code or a sender id."""
    messaging_service_sid: ServiceSid | None = None
    """The Messaging Service, `MG…`, that chooses the sender instead."""
    status_callback: bool = False
    """Have Twilio report each message's way as `twilio.sms.status` events."""

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        names = [name for name in ("account_sid", "auth_token") if getattr(self, name) is None]
        if self.enabled and names:
            verb = "is" if len(names) == 1 else "are"
            raise ValueError(f"{' and '.join(names)} {verb} missing")
        return self
