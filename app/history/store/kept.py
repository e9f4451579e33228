"""A record's document as the bytes it came in: read only where somebody looks into it.

In: the JSON of one record. Out: a mapping that decodes itself when it is asked, and its bytes.
Refuses nothing before it is asked; InvalidEventError then, for what is no JSON object.

Most documents are only packed and stored: to decode them and write them again would be a third of
what a record costs (measured).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from actors.errors import InvalidEventError
from app.bus.codec import decode_json


class KeptDocument(Mapping[str, Any]):
    """The document of a record."""

    __slots__ = ("_read", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._read: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self._fields()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def __len__(self) -> int:
        return len(self._fields())

    def _fields(self) -> dict[str, Any]:
        if self._read is None:
            found = decode_json(self.data, "record")
            if not isinstance(found, dict):
                raise InvalidEventError("record", "is no object")
            self._read = found
        return self._read
