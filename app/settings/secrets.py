"""``[secrets]``: the keys that seal stored secrets, and where else secrets come from.

In: plain values. Out: a frozen section. Refuses keys that are none, a folder that is not absolute,
and variables that could be another tenant's, another secret's or the process's own.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from actors.errors import InvalidSubjectError
from actors.subjects import check_token
from app.settings.sealing_key import parse_keys
from app.settings.section import Section

ENVIRONMENT_PREFIX: Final = "GREENTIC_TENANT_"
TENANTS_MAX: Final = 10_000
NAMES_MAX: Final = 1000

_PREFIX: Final = re.compile(r"(?:[A-Z][A-Z0-9]*_)*TENANT_")
_VARIABLE_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,127}")


class SecretsSection(Section):
    """``[secrets]``: the keys that seal stored secrets, and where else secrets come from."""

    key: SecretStr | None = None
    """32 bytes in base64; several are separated by commas, the first seals and the others only
    open. Without one, a file of the data folder has it, except in env `prod`."""

    key_file: str | None = None
    """A mounted file that holds the key instead, or a folder of them with the first in `current`.
    """

    directory: str | None = None
    """A mounted folder with secrets of tenants in `{tenant}/{name}` files, for what the store does
    not have."""

    environment_prefix: str = ENVIRONMENT_PREFIX
    """How the variables with secrets of tenants begin; it ends in `TENANT_`."""

    environment_names: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = Field(
        default_factory=dict, max_length=TENANTS_MAX
    )
    """Names by tenant that may come from `{environment_prefix}{TENANT}_{NAME}`, where a `-` of the
    tenant is `__`; no other variable is ever read."""

    @field_validator("key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_keys(value.get_secret_value())
        return value

    @field_validator("directory")
    @classmethod
    def _check_directory(cls, value: str | None) -> str | None:
        if value is not None and not PurePosixPath(value).is_absolute():
            raise ValueError("must be an absolute path: what a relative one means depends on us")
        return value

    @field_validator("environment_prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            raise ValueError(
                f"must be capitals and end in TENANT_, like {ENVIRONMENT_PREFIX}: a prefix of"
                " other variables would open them to tenants"
            )
        return value

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for tenant, names in self.environment_names.items():
            if len(names) > NAMES_MAX:
                raise ValueError(f"environment_names of {tenant} are more than {NAMES_MAX}")
            for name in names:
                variable_of(self.environment_prefix, tenant, name)
        return self


def variable_of(prefix: str, tenant: str, name: str) -> str:
    """Name the variable of a tenant's secret; ValueError for what has none.

    No two pairs share one: a tenant's ``-`` becomes ``__``, so its part ends at the first odd run
    of underscores, and a name begins with a letter. A tenant with ``_`` has no variables.
    """
    try:
        check_token(tenant, "tenant")
    except InvalidSubjectError as error:
        raise ValueError(f"environment_names: {error}") from None
    if "_" in tenant:
        raise ValueError(f"environment_names: {tenant} has '_', so no variable is surely its own")
    if not _VARIABLE_NAME.fullmatch(name):
        raise ValueError(
            f"environment_names of {tenant}: {name[:128]!r} is no name of capitals, digits and '_'"
        )
    return f"{prefix}{tenant.upper().replace('-', '__')}_{name}"
