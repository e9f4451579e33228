"""What an object store holds of a tenant: objects whose names begin with its id, and their parts.

In: a bucket and a tenant. Out: how many objects there are; nothing, once they are gone. Refuses
with BusError and UnavailableError like the server.

An object is a record, under its name in base64, and parts under a number of their own, which only
the record knows. So the parts go first: an erasure that is cut short finds the rest again. Parts
whose record was never written, since their writer was killed, belong to nobody that could be named:
those are removed once they were seen twice, an hour apart (`loose_parts`).
"""

import base64
import binascii
import json
from collections.abc import Collection
from typing import Any, Final

from actors.subjects import check_token
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.leader import read_last
from app.control import names

_PLACE_CHARS_MAX: Final = 64


class ObjectHoldings:
    """The objects of one bucket."""

    def __init__(self, bus: Bus, bucket: str) -> None:
        self._bus = bus
        self._admin = JetStreamAdmin(bus)
        self._bucket = bucket
        self._stream = names.object_stream(bucket)
        self._records = f"$O.{bucket}.M."
        self._parts = f"$O.{bucket}.C."

    async def count(self, tenant: str) -> int:
        """Say how many objects are the tenant's, those that are marked as deleted among them."""
        return len(await self._of(tenant))

    async def owners(self) -> frozenset[str]:
        """Name all that objects belong to, tenants among them."""
        subjects = await self._admin.count_by_subject(self._stream, f"{self._records}>")
        found = (object_name(subject.removeprefix(self._records)) for subject in subjects)
        return frozenset(name.partition("/")[0] for name in found if "/" in name)

    async def erase(self, tenant: str) -> int:
        """Delete the tenant's objects and say how many they were."""
        erased = 0
        for subject in await self._of(tenant):
            place = await self._place_of(subject)
            if place is not None:
                await self._admin.purge(self._stream, self._parts + place)
            erased += bool(await self._admin.purge(self._stream, subject))
        return erased

    async def loose_parts(self) -> frozenset[str]:
        """Name the parts that no record knows now; a writer may be about to write one."""
        # In this order: a record that is written meanwhile is read.
        parts = await self._admin.count_by_subject(self._stream, f"{self._parts}>")
        if not parts:
            return frozenset()
        records = await self._admin.count_by_subject(self._stream, f"{self._records}>")
        places = {await self._place_of(subject) for subject in records}
        found = (subject.removeprefix(self._parts) for subject in parts)
        return frozenset(place for place in found if place not in places)

    async def remove_parts(self, places: Collection[str]) -> int:
        """Delete parts that `loose_parts` named, and say how many messages they were."""
        removed = 0
        for place in sorted(places):
            removed += await self._admin.purge(self._stream, self._parts + place)
        return removed

    async def _of(self, tenant: str) -> list[str]:
        prefix = f"{check_token(tenant, 'tenant')}/"
        subjects = await self._admin.count_by_subject(self._stream, f"{self._records}>")
        return [
            subject
            for subject in sorted(subjects)
            if object_name(subject.removeprefix(self._records)).startswith(prefix)
        ]

    async def _place_of(self, subject: str) -> str | None:
        """Give the number under which an object's parts are."""
        message = await read_last(self._bus, self._stream, subject)
        if message is None:
            return None
        try:
            place: Any = json.loads(message.data)["nuid"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        is_place = isinstance(place, str) and place.isalnum() and len(place) <= _PLACE_CHARS_MAX
        return place if is_place else None


def object_name(token: str) -> str:
    """Read an object's name off its record's subject; empty for what is none of ours."""
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
