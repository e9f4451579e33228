"""The options of ``events-webhook`` (SPEC 6 and 12.1).

In: the provider's section of ``answers.json``. Out: checked options. Refuses unknown options, an
empty secret, half a signature, and signature entries this version cannot check.
"""

import re
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

BODY_BYTES_MAX: Final = 768 * 1024
"""SPEC 13. Not to be raised: the stored event must fit the bus's ``max_payload`` of 1 MiB."""

SYNC_TIMEOUT_MS_MAX: Final = 60_000
DEDUP_WINDOW_HOURS_MAX: Final = 72
SECRET_BYTES_MAX: Final = 1024

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")


class WebhookOptions(BaseModel):
    """What a bundle says about its webhooks."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    enabled: bool = True
    """Whether the routes exist at all; a disabled provider answers 404."""

    public_base_url: str | None = None
    """Where senders reach this host, for signatures that cover the URL."""

    secret_header: str | None = None
    """The header with the HMAC-SHA256 of the raw body: hex or base64, `sha256=` may precede it."""

    secret_key: SecretStr | None = None
    """The secret of that HMAC, used as UTF-8 bytes."""

    signatures: dict[str, Any] = Field(default_factory=dict)
    """Signature entries by name; this version checks none of them and refuses any."""

    allow_unsigned: bool = False
    """Accept unsigned events in env `prod` too, and without a warning in others."""

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
        if value is None:
            return None
        text = value.get_secret_value()
        if not text.strip():
            raise ValueError("is empty: anybody could compute the signature")
        if len(text.encode(errors="surrogatepass")) > SECRET_BYTES_MAX:
            raise ValueError(f"is longer than {SECRET_BYTES_MAX} bytes")
        return value

    @field_validator("signatures")
    @classmethod
    def _refuse_signatures(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value:
            names = ", ".join(sorted(value))
            raise ValueError(
                f"this version cannot check signature entries ({names});"
                " it has secret_header and secret_key"
            )
        return value

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.secret_header is None) != (self.secret_key is None):
            missing = "secret_key" if self.secret_key is None else "secret_header"
            raise ValueError(f"{missing} is missing: secret_header and secret_key go together")
        return self
