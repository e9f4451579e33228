"""The names of the history's consumers.

In: which history it is. Out: names. Refuses nothing. Each history reads the streams from their
beginning with consumers of its own: a database that is new, or was put in another's place, has all
that the streams still have, and two of them never share what should be in both.
"""

import re
from typing import Final

PREFIX: Final = "history"

_NOT_IN_NAME: Final = re.compile(r"[^a-z0-9]+")


def durable_of(identity: str) -> str:
    """Name the consumer with which a history's rows are brought to it."""
    return f"{PREFIX}-{_NOT_IN_NAME.sub('-', identity.lower())}"
