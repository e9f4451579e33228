"""References to stored secrets in ``answers.json``, ``{"$secret": "events-webhook.secret_key"}``.

In: raw options. Out: the names they refer to; the same options with the secrets in their places.
Refuses nothing: what cannot be resolved is told to whoever asked.

A map with that one key, because no value of an option can be taken for one, and nothing has to be
escaped. The secrets are those of the bundle's scope (`app.stores.secrets.BUNDLE_SCOPE`), each named
after the option it belongs to. They are put in before the options are checked: many an option's
rule is about its value.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from app.bundle.document import Path

REFERENCE_KEY: Final = "$secret"


class SecretValue(Protocol):
    """A stored secret (`app.stores.secrets.StoredSecret`)."""

    @property
    def value(self) -> str:
        """The secret itself."""
        ...

    @property
    def revision(self) -> int:
        """Another one with every write."""
        ...


def reference_to(name: str) -> dict[str, str]:
    """Write a reference."""
    return {REFERENCE_KEY: name}


def referenced_name(value: Any) -> str | None:
    """Give the secret's name if the value is a reference, else None."""
    if isinstance(value, dict) and value.keys() == {REFERENCE_KEY}:
        name = value[REFERENCE_KEY]
        return name if isinstance(name, str) else None
    return None


def secret_name(path: Path) -> str:
    """Name the secret of an option: the parts of its place, with points between."""
    return ".".join(map(str, path))


def find_references(options: Any) -> frozenset[str]:
    """Name every secret that the options refer to."""
    return frozenset(name for _, name in _references(options, ()))


def resolve_references(
    options: Any, secrets: Mapping[str, SecretValue], report: Callable[[Path, str], None]
) -> Any:
    """Put the secrets in their places.

    One that there is not is reported with its place and name, and None stands for it.
    """

    def resolved(value: Any, path: Path) -> Any:
        name = referenced_name(value)
        if name is not None:
            found = secrets.get(name)
            if found is None:
                report(path, name)
            return None if found is None else found.value
        if isinstance(value, dict):
            return {key: resolved(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [resolved(item, (*path, index)) for index, item in enumerate(value)]
        return value

    return resolved(options, ())


def replace_references(options: Any, by_name: Mapping[str, str]) -> Any:
    """Put texts in the places of the references that are named; the others stay."""
    name = referenced_name(options)
    if name is not None:
        return by_name.get(name, options)
    if isinstance(options, Mapping):
        return {key: replace_references(item, by_name) for key, item in options.items()}
    if isinstance(options, list):
        return [replace_references(item, by_name) for item in options]
    return options


def revision_with(revision: str, secrets: Mapping[str, SecretValue]) -> str:
    """Give a bundle's revision, another one whenever one of its secrets was written.

    It is made of the secrets' revisions and not of their values: it is shown, and a weak password
    could be guessed from its hash.
    """
    if not secrets:
        return revision
    parts = [f"{name}:{secrets[name].revision}" for name in sorted(secrets)]
    return hashlib.sha256("\n".join([revision, *parts]).encode()).hexdigest()


def _references(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    name = referenced_name(value)
    if name is not None:
        yield path, name
        return
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, item in items:
        yield from _references(item, (*path, key))
