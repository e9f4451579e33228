"""The options of ``events-email-smtp`` (SPEC 6).

In: the provider's section of ``answers.json``. Out: checked options. Refuses unknown and missing
options, half a login, and host names that are none.
"""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from app.providers.email.sender import OPTIONS, FromEmail, FromName, missing_text

TIMEOUT_SECONDS_MAX: Final = 120
CONNECTIONS_MAX: Final = 32
LOGIN_CHARS_MAX: Final = 512
PORTS: Final = {"starttls": 587, "implicit": 465, "none": 25}
"""What a port that is not given is (RFC 8314, RFC 6409, RFC 5321)."""

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")


def _check_host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("must be a host's name or address, without a port")
    return value


def _check_login(value: str) -> str:
    if not 1 <= len(value) <= LOGIN_CHARS_MAX or not value.isprintable():
        raise ValueError(f"must have 1 to {LOGIN_CHARS_MAX} printable characters")
    return value


def _check_password(value: SecretStr) -> SecretStr:
    _check_login(value.get_secret_value())
    return value


class SmtpOptions(BaseModel):
    """What a bundle says about its mail server."""

    model_config = OPTIONS

    enabled: bool = True
    """Whether flows may send by it."""
    host: Annotated[str, AfterValidator(_check_host)] | None = None
    """The mail server."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Its port: 587 with `starttls`, 465 with `implicit`, 25 with `none`, unless said otherwise."""
    username: Annotated[str, AfterValidator(_check_login)] | None = None
    """Who logs in; without it nobody does."""
    password: Annotated[SecretStr, AfterValidator(_check_password)] | None = None
    """The password."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """How the connection is encrypted; a server that cannot is not talked to."""
    from_email: FromEmail | None = None
    """The sender's address."""
    from_name: FromName = ""
    """The sender's name."""
    ca_file: str | None = None
    """A file of certificates to trust instead of the system's."""
    client_name: Annotated[str, AfterValidator(_check_host)] | None = None
    """How we introduce ourselves; by default with the domain of `from_email`."""
    timeout: int = Field(default=30, ge=1, le=TIMEOUT_SECONDS_MAX)
    """Seconds that the server may take for one answer."""
    connections: int = Field(default=4, ge=1, le=CONNECTIONS_MAX)
    """How many connections are open at most."""

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        names = [name for name in ("host", "from_email") if getattr(self, name) is None]
        if self.enabled and names:
            raise ValueError(missing_text(names))
        if (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            raise ValueError(f"{missing} is missing: username and password go together")
        return self
