"""``[history]``: where ended runs are kept to be searched, and for how long.

In: plain values. Out: a frozen section. Refuses databases of other kinds, and never repeats a URL:
it may hold a password. Times are in seconds.
"""

from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from app.settings.section import Section

URL_CHARS_MAX: Final = 2048

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql", "postgres")


class HistorySection(Section):
    """``[history]``: where ended runs are kept to be searched, and for how long."""

    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name` or `sqlite:///path`; `history.db` in the data folder
    by default."""

    database_url_file: str | None = None
    """A mounted file that holds the URL instead."""

    keep_days: int = Field(default=90, ge=0, le=36_500)
    """Days that an ended run is kept; 0: for ever."""

    batch_records: int = Field(default=1000, ge=1, le=10_000)
    """Records that are written to the database at once, at most about so many."""

    batch_seconds: float = Field(default=0.1, ge=0.01, le=10)
    """How long records wait for others to be written with."""

    usage_keep_days: int = Field(default=35, ge=1, le=400)
    """Days that an hour of usage is kept after something was last counted in it. The same in every
    process of an env."""

    usage_runs_remembered: int = Field(default=200_000, ge=1000, le=5_000_000)
    """How many of the latest run records usage is counted with: one of a run that is among them is
    a repeat. About 200 bytes of memory each."""

    @field_validator("database_url")
    @classmethod
    def _check_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_database_url(value.get_secret_value())
        return value


def check_database_url(url: str) -> str:
    """Give back a URL of a database that history can use; ValueError for any other."""
    if len(url) > URL_CHARS_MAX or not url.isprintable():
        raise ValueError(f"must be at most {URL_CHARS_MAX} printable characters")
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return url
    if _is_postgresql(url):
        return url
    raise ValueError("must look like postgresql://user:password@host/name or sqlite:///path")


def _is_postgresql(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # its words may repeat the URL
        return False
    return bool(parts.scheme in _POSTGRESQL and parts.hostname and parts.path.strip("/"))
