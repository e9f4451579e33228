"""What a tenant has deployed: one immutable document with a bounded history.

In: what is to be in force next. Out: the next document, its bytes, and documents read back. Refuses
(StoreError) bytes that are not exactly a document of this version.

The document is the one pointer that decides: whoever changes it does so by compare-and-set on the
revision that it was read at (`app.deployments.store`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

import msgspec

from app.control.activations import Activation
from app.errors import StoreError

VERSION: Final = 1
HISTORY_MAX: Final = 20
"""Former revisions that a document remembers, and whose bundles stay stored."""
TEXT_CHARS_MAX: Final = 512
ACTIVATIONS_MAX: Final = 20_000
DOCUMENT_BYTES_MAX: Final = 900_000
"""Below the 1 MiB that a server takes in one message."""

Owner = Literal["folder", "apply"]
"""Who looks after a deployment: ``folder``: a `start BUNDLE`, with the providers' secrets of the
bundle's scope and the operator's environment; ``apply``: whoever applies, with the tenant's own
secrets."""
Kind = Literal["start", "apply", "rollback", "promote", "remove"]
"""How a revision came into force."""

_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Number = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True, slots=True)
class Revision:
    """One thing that was deployed for a tenant."""

    bundle: str | None
    """The archive's digest; None: nothing is deployed."""
    name: str
    """The bundle's, and its version: empty where nothing is deployed."""
    version: str
    owner: Owner
    flows: int
    kind: Kind
    at_ms: int
    actor: str
    number: int = 0
    """1 for a tenant's first, and one more each time; 0: it is none yet."""

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"number": fields.pop("number"), **fields}

    @property
    def summary(self) -> str:
        """Name it for people."""
        if self.bundle is None:
            return f"{self.number} (nothing)"
        return f"{self.number} ({self.name} {self.version}, {self.bundle[:12]})"


@dataclass(frozen=True, slots=True)
class DeploymentDocument:
    """A tenant's pointer: what is in force, since when for each trigger, and what was before."""

    current: Revision
    activated: Mapping[str, Activation] = field(default_factory=dict)
    """By trigger; see `app.control.activations`."""
    history: tuple[Revision, ...] = ()
    """Former revisions, the newest first, at most `HISTORY_MAX`."""

    @property
    def digests(self) -> frozenset[str]:
        """The archives that must stay stored."""
        every = (self.current, *self.history)
        return frozenset(each.bundle for each in every if each.bundle is not None)

    def find(self, number: int) -> Revision | None:
        """Give the revision of that number, as far as it is remembered."""
        every = (self.current, *self.history)
        return next((each for each in every if each.number == number), None)

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it: without the activations, which mean nothing to people."""
        history = [each.as_mapping() for each in self.history]
        return {**self.current.as_mapping(), "history": history}


def next_document(
    before: DeploymentDocument | None, revision: Revision, activated: Mapping[str, Activation]
) -> DeploymentDocument:
    """Put a revision in force, with the next number.

    What was in force goes to the history, whose oldest end is cut.
    """
    number = 1 if before is None else before.current.number + 1
    current = replace(revision, number=number, actor=revision.actor[:TEXT_CHARS_MAX])
    history = () if before is None else (before.current, *before.history)[:HISTORY_MAX]
    return DeploymentDocument(current, dict(activated), history)


class _Revision(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    number: _Number
    bundle: _Digest | None
    name: _Text
    version: _Text
    owner: Owner
    flows: _Count
    kind: Kind
    at_ms: _Count
    actor: _Text


class _Activation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    pattern: _Text
    sequence: _Count


class _Document(_Revision, kw_only=True, forbid_unknown_fields=True, frozen=True):
    v: Literal[1]
    activated: Annotated[dict[str, _Activation], msgspec.Meta(max_length=ACTIVATIONS_MAX)]
    history: Annotated[list[_Revision], msgspec.Meta(max_length=HISTORY_MAX)]


def build_document(document: DeploymentDocument) -> bytes:
    """Write a document; `parse_document` is its inverse. StoreError: it is too large."""
    mapping = {
        "v": VERSION,
        **document.as_mapping(),
        "activated": {
            trigger: {"pattern": each.pattern, "sequence": each.sequence}
            for trigger, each in document.activated.items()
        },
    }
    data = msgspec.json.encode(mapping)
    if len(data) > DOCUMENT_BYTES_MAX:
        raise StoreError(f"a deployment of {len(document.activated)} triggers is too large to note")
    return data


def parse_document(data: bytes) -> DeploymentDocument:
    """Read a document; StoreError if it is none."""
    try:
        found = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"a record of a deployment is damaged: {error}") from error
    activated = {
        trigger: Activation(each.pattern, each.sequence)
        for trigger, each in found.activated.items()
    }
    history = tuple(_revision(each) for each in found.history)
    numbers = [found.number, *(each.number for each in history)]
    if any(later <= earlier for later, earlier in pairwise(numbers)):
        raise StoreError("a record of a deployment is damaged: its history is out of order")
    return DeploymentDocument(_revision(found), activated, history)


def _revision(found: _Revision) -> Revision:
    return Revision(**{name: getattr(found, name) for name in Revision.__dataclass_fields__})
