"""The secrets among a provider's options, and keeping them out of what its actions give back.

In: checked options. Out: their secret values, and a way to run an action whose errors and receipts
show none. Refuses nothing: a service that repeats our credentials, as mail servers do in refusals,
is answered for here and not by each provider.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from actors.nodes.secret_access import UsedSecrets

KEPT_MAX: Final = 64
"""Options whose secrets are remembered; a bundle in force has a handful."""


def used_by(options: BaseModel | None) -> UsedSecrets:
    """Give the secrets of a provider's options; none for a provider without."""
    return UsedSecrets() if options is None else _of(_Same(options))


class _Same:
    """Options by identity: frozen models compare by value, and some hold what cannot be hashed."""

    __slots__ = ("options",)

    def __init__(self, options: BaseModel) -> None:
        self.options = options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.options is other.options

    def __hash__(self) -> int:
        return id(self.options)


@lru_cache(maxsize=KEPT_MAX)
def _of(same: _Same) -> UsedSecrets:
    found = _secrets_in(same.options)
    return UsedSecrets({f"option {number}": text for number, text in enumerate(found)})


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _secrets_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets_in(item)
