"""The options of ``events-webhook`` (SPEC 6 and 12.1).

In: the provider's section of ``answers.json``. Out: checked options. Refuses unknown options, an
empty secret, half a signature, and signature entries that no scheme can be built of; names the
place and the rule, never a value.
"""

import re
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from app.providers.signatures.catalog import SECRETS_MAX, TOLERANCE_SECONDS_MAX, build_scheme
from app.providers.signatures.scheme import Scheme

BODY_BYTES_MAX: Final = 768 * 1024
"""SPEC 13. Not to be raised: the stored event must fit the bus's ``max_payload`` of 1 MiB."""

SYNC_TIMEOUT_MS_MAX: Final = 60_000
DEDUP_WINDOW_HOURS_MAX: Final = 72
SECRET_BYTES_MAX: Final = 4096
SIGNATURES_MAX: Final = 100
ORIGINS_MAX: Final = 100

ALGORITHMS: Final = (
    "sha1",
    "sha256",
    "sha512",
    "stripe",
    "slack",
    "shopify",
    "standard-webhooks",
    "github",
    "token",
    "basic",
)
"""Those of SPEC 6. Other schemes belong to the providers that have routes of their own."""

GLOBAL_ALGORITHM: Final = "sha256"
"""What ``secret_header`` and ``secret_key`` are short for (SPEC 12.1)."""

GLOBAL_NAME: Final = "secret_header"
"""What ``metadata.signature`` says when the global secret matched."""

API_KEY_NAME: Final = "api_key"
"""What it says when an API key opened the batch route."""

ANY_ORIGIN: Final = "*"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_ENTRY_NAME = re.compile(r"[a-z0-9_-]{1,128}")
_ORIGIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

_CONFIG: Final = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    use_attribute_docstrings=True,
    hide_input_in_errors=True,
)


class SignatureEntry(BaseModel):
    """One signature that guards the event types whose first token is the entry's name."""

    model_config = _CONFIG

    algorithm: str
    """How the sender signs: one of the table in docs/webhooks.md."""

    header: str | None = None
    """The header that carries it, where the algorithm does not say which."""

    secret: SecretStr | None = None
    """The one secret; or else:"""

    secrets: Annotated[list[SecretStr], Field(min_length=1, max_length=SECRETS_MAX)] | None = None
    """Several that all count, newest first, while one replaces the other."""

    tolerance_seconds: int | None = Field(default=None, ge=1, le=TOLERANCE_SECONDS_MAX)
    """How far a signed timestamp may be off, both ways; 300 if nothing is said."""

    @field_validator("algorithm")
    @classmethod
    def _check_algorithm(cls, value: str) -> str:
        if value not in ALGORITHMS:
            raise ValueError(f"is none of {', '.join(ALGORITHMS)}")
        return value

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else _checked(value)

    @field_validator("secrets")
    @classmethod
    def _check_secrets(cls, value: list[SecretStr] | None) -> list[SecretStr] | None:
        return None if value is None else [_checked(secret) for secret in value]

    @model_validator(mode="after")
    def _check_scheme(self) -> Self:
        if (self.secret is None) == (self.secrets is None):
            raise ValueError("needs secret or secrets, and not both")
        self.build_scheme()
        return self

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Give the secrets in their order."""
        given = [self.secret] if self.secrets is None else self.secrets
        return tuple(secret.get_secret_value() for secret in given if secret is not None)

    def build_scheme(self) -> Scheme:
        """Make the scheme; ValueError, which repeats no secret, if there cannot be one."""
        return build_scheme(
            self.algorithm,
            self.all_secrets,
            header=self.header,
            tolerance_seconds=self.tolerance_seconds,
        )


class WebhookOptions(BaseModel):
    """What a bundle says about its webhooks."""

    model_config = _CONFIG

    enabled: bool = True
    """Whether the routes exist at all; a disabled provider answers 404."""

    public_base_url: str | None = None
    """Where senders reach this host, for signatures that cover the URL."""

    secret_header: str | None = None
    """The header with the HMAC-SHA256 of the raw body: hex or base64, `sha256=` may precede it."""

    secret_key: SecretStr | None = None
    """The secret of that HMAC, used as UTF-8 bytes."""

    signatures: dict[str, SignatureEntry] = Field(default_factory=dict)
    """Signatures by name, `{algorithm, header, secret or secrets, tolerance_seconds}` each: the
    one named like an event type's first token guards that type, instead of the global secret."""

    allow_unsigned: bool = False
    """Accept unsigned events in env `prod` too, and without a warning in others."""

    webhook_allowed_origins: list[str] = Field(default_factory=list)
    """Origins granted in the CloudEvents handshake, `*` for any; if none are named, any outside
    `prod` and none in it."""

    max_body_bytes: int = Field(default=BODY_BYTES_MAX, ge=1, le=BODY_BYTES_MAX)
    """The largest body taken."""

    sync_timeout_ms: int = Field(default=5000, ge=0, le=SYNC_TIMEOUT_MS_MAX)
    """How long a request waits for a flow's answer before its 202; 0 never waits."""

    dedup_window_hours: int = Field(default=24, ge=1, le=DEDUP_WINDOW_HOURS_MAX)
    """How long a delivery id is remembered."""

    @field_validator("public_base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    @field_validator("secret_header")
    @classmethod
    def _check_header(cls, value: str | None) -> str | None:
        if value is not None and not _HEADER_NAME.fullmatch(value):
            raise ValueError("is no header name")
        return None if value is None else value.lower()

    @field_validator("secret_key")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else _checked(value)

    @field_validator("signatures")
    @classmethod
    def _check_names(cls, value: dict[str, SignatureEntry]) -> dict[str, SignatureEntry]:
        if len(value) > SIGNATURES_MAX:
            raise ValueError(f"has more than {SIGNATURES_MAX} entries")
        for name in value:
            if not _ENTRY_NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no first token of an event type: lower-case letters, digits,"
                    " '_' and '-'"
                )
            if name in {GLOBAL_NAME, API_KEY_NAME}:
                raise ValueError(f"an entry cannot be called {name}: events would not tell which")
        return value

    @field_validator("webhook_allowed_origins")
    @classmethod
    def _check_origins(cls, value: list[str]) -> list[str]:
        if len(value) > ORIGINS_MAX:
            raise ValueError(f"names more than {ORIGINS_MAX} origins")
        if not all(origin == ANY_ORIGIN or is_origin(origin) for origin in value):
            raise ValueError(f"takes host names, or {ANY_ORIGIN} for any")
        return [origin.lower() for origin in value]

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.secret_header is None) != (self.secret_key is None):
            missing = "secret_key" if self.secret_key is None else "secret_header"
            raise ValueError(f"{missing} is missing: secret_header and secret_key go together")
        return self

    def build_global_scheme(self) -> Scheme | None:
        """Make the scheme of the global secret, if there is one."""
        if self.secret_header is None or self.secret_key is None:
            return None
        secret = self.secret_key.get_secret_value()
        return build_scheme(GLOBAL_ALGORITHM, [secret], header=self.secret_header)


def is_origin(text: str) -> bool:
    """Tell whether a text can be the host name that a sender of CloudEvents calls itself by."""
    return _ORIGIN.fullmatch(text) is not None


def _checked(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.strip():
        raise ValueError("is empty: anybody could compute the signature")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("is no text of Unicode") from None
    if size > SECRET_BYTES_MAX:
        raise ValueError(f"is longer than {SECRET_BYTES_MAX} bytes")
    return secret
