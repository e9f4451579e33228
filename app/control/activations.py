"""From which sequence on each trigger takes events: its activation.

In: a tenant's triggers and the end of its stream. Out: a sequence for each trigger, remembered in
the bucket of deployments. A consumer whose filter grows may deliver events stored just before the
change (measured); the router acks those at or below a trigger's activation unseen.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.errors import StoreError
from app.stores.kv import KvBucket

_SUFFIX: Final = ".activations"


@dataclass(frozen=True, slots=True)
class Activation:
    """A trigger takes events after ``sequence`` that match ``pattern``."""

    pattern: str
    sequence: int


class Activations:
    """What the bucket remembers of each tenant."""

    def __init__(self, bucket: KvBucket) -> None:
        self._bucket = bucket

    async def tenants(self) -> frozenset[str]:
        """List the tenants that have a record."""
        keys = await self._bucket.keys()
        return frozenset(key.removesuffix(_SUFFIX) for key in keys if key.endswith(_SUFFIX))

    async def activate(
        self, tenant: str, patterns: Mapping[str, str], last_sequence: int
    ) -> Mapping[str, int]:
        """Record the tenant's triggers as they are now and give each one's activation.

        A trigger that is new, or whose pattern changed, starts after ``last_sequence``; the others
        keep theirs; what is not in ``patterns`` is forgotten.
        """
        entry = await self._bucket.get_surely(tenant + _SUFFIX)
        before = {} if entry.value is None else parse_activations(entry.value)
        after = next_activations(before, patterns, last_sequence)
        if entry.value is None or after != before:
            data = build_activations(after)
            await self._bucket.put(tenant + _SUFFIX, data, revision=entry.revision)
        return {trigger: activation.sequence for trigger, activation in after.items()}

    async def read(self, tenant: str) -> Mapping[str, Activation]:
        """Give a tenant's triggers as they are in force; none for a tenant that is not there."""
        entry = await self._bucket.get_surely(tenant + _SUFFIX)
        return {} if entry.value is None else parse_activations(entry.value)

    async def forget(self, tenant: str) -> None:
        """Forget a tenant's triggers."""
        await self._bucket.delete(tenant + _SUFFIX)


def next_activations(
    before: Mapping[str, Activation], patterns: Mapping[str, str], last_sequence: int
) -> dict[str, Activation]:
    """Carry activations over to a new set of triggers.

    A remembered sequence beyond the stream's end means that the stream was made anew: keeping it
    would make the trigger deaf to everything up to it.
    """
    after = {}
    for trigger, pattern in patterns.items():
        known = before.get(trigger)
        is_kept = known is not None and known.pattern == pattern
        sequence = min(known.sequence, last_sequence) if known and is_kept else last_sequence
        after[trigger] = Activation(pattern, sequence)
    return after


def build_activations(activations: Mapping[str, Activation]) -> bytes:
    """Write a record; `parse_activations` is its inverse."""
    document = {
        trigger: {"pattern": activation.pattern, "sequence": activation.sequence}
        for trigger, activation in activations.items()
    }
    return json.dumps({"triggers": document}, sort_keys=True).encode()


def parse_activations(data: bytes) -> dict[str, Activation]:
    """Read a record; StoreError if it is none."""
    try:
        triggers = json.loads(data)["triggers"]
        return {
            str(trigger): Activation(str(entry["pattern"]), int(entry["sequence"]))
            for trigger, entry in triggers.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"a record of activations is damaged: {error}") from error
