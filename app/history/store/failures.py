"""What a database says when it does not do as asked, in errors of ours.

In: exceptions of SQLAlchemy and of the drivers. Out: UnavailableError for what may pass, StoreError
for what will not. The texts name neither the statement nor its values, which are somebody's data,
nor the address, which has a password.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from actors.errors import UnavailableError
from app.errors import StoreError

RETRY_SECONDS: Final = 1.0
TEXT_CHARS_MAX: Final = 200

_REFUSALS: Final = (
    exc.IntegrityError,
    exc.DataError,
    exc.ProgrammingError,
    exc.NotSupportedError,
)


@contextmanager
def asking(what: str, secret: str = "") -> Iterator[None]:
    """Raise errors of ours for what the database says; ``secret`` is in none of their texts."""
    try:
        yield
    except _REFUSALS as error:
        text = told(error, secret)
        raise StoreError(f"the history's database refused to {what}: {text}") from None
    except (exc.DBAPIError, exc.TimeoutError, OSError, TimeoutError) as error:
        text = told(error, secret)
        if type(error) is exc.DatabaseError:  # SQLite's word for a file that is damaged
            raise StoreError(f"the history is damaged ({what}): {text}") from None
        raise UnavailableError(
            f"the history's database does not answer ({what}): {text}",
            retry_after_seconds=RETRY_SECONDS,
        ) from None


def told(error: BaseException, secret: str = "") -> str:
    """Give the first line of what the driver said."""
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    lines = str(cause).strip().splitlines()
    text = lines[0][:TEXT_CHARS_MAX] if lines else type(cause).__name__
    return text.replace(secret, "***") if secret else text
