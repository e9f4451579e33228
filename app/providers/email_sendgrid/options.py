"""The options of ``events-email-sendgrid`` (SPEC 6).

In: the provider's section of ``answers.json``. Out: checked options. Refuses unknown options,
missing ones, tokens that are too short to be secret, and keys that are none.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, model_validator

from app.providers.email.sender import OPTIONS, FromEmail, FromName, missing_text
from app.providers.signatures.catalog import build_scheme

ALGORITHM: Final = "sendgrid"
API_KEY_CHARS_MAX: Final = 512
TOKEN_CHARS_MIN: Final = 16
TOKEN_CHARS_MAX: Final = 256


def _check_api_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if not key or len(key) > API_KEY_CHARS_MAX or not (key.isascii() and key.isprintable()):
        raise ValueError("is no API key")
    if " " in key:
        raise ValueError("is no API key: there is a blank in it")
    return value


def _check_token(value: SecretStr) -> SecretStr:
    token = value.get_secret_value()
    if not TOKEN_CHARS_MIN <= len(token) <= TOKEN_CHARS_MAX:
        raise ValueError(f"must have {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} characters")
    if not (token.isascii() and token.isprintable()):
        raise ValueError("must be printable ASCII: it stands in a URL")
    return value


def _listed(value: object) -> object:
    """Take one key for a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _check_keys(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse at start, not at the first request, what is no public key."""
    if any("PRIVATE" in key for key in value):
        raise ValueError("must be a public key; this one is private")
    build_scheme(ALGORITHM, value)
    return value


PublicKeys = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_check_keys)]


class InboundParseOptions(BaseModel):
    """How posts of Inbound Parse prove where they come from."""

    model_config = OPTIONS

    token: Annotated[SecretStr, AfterValidator(_check_token)] | None = None
    """A secret in the URL given to SendGrid: `?token=…`, or `https://any:…@host/…`."""
    public_key: PublicKeys | None = None
    """The key of the webhook's security policy, or several while one replaces the other."""


class SendGridOptions(BaseModel):
    """What a bundle says about its SendGrid account."""

    model_config = OPTIONS

    enabled: bool = True
    """Whether the provider exists at all; the routes of a disabled one answer 404."""
    api_key: Annotated[SecretStr, AfterValidator(_check_api_key)] | None = None
    """An API key that may send mail."""
    from_email: FromEmail | None = None
    """The sender's address, verified with SendGrid."""
    from_name: FromName = ""
    """The sender's name."""
    event_webhook_public_key: PublicKeys | None = None
    """The verification key of the Event Webhook, or several while one replaces the other."""
    inbound_parse: bool | InboundParseOptions = False
    """Whether to take mails in; a map says how they prove where they come from."""
    sandbox: bool = False
    """Have SendGrid check every mail and deliver none."""
    data_residency: Literal["global", "eu"] = "global"
    """`global`, or `eu` for a subuser in the European Union."""

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        names = [name for name in ("api_key", "from_email") if getattr(self, name) is None]
        if self.enabled and names:
            raise ValueError(missing_text(names))
        return self
