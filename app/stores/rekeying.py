"""Rotation: every sealed secret of an env sealed anew with the current key, while workers run.

In: the bucket, an env, its keys. Out: a `RekeyReport`. Refuses to write over what somebody else
wrote meanwhile (compare-and-set: their value is read and sealed instead), and to touch what it
cannot open: that is reported and stays.

Each record says which key it is sealed with, so nothing else remembers how far a rotation came: one
that was interrupted is started again and skips what is done. A secret stored meanwhile by a process
that does not know the current key yet is found by the next pass; passes go on until one finds
nothing to do.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from app.errors import ConflictError, SealError
from app.stores.kv import KvBucket, KvEntry
from app.stores.sealing import EnvelopeLabel, Keyring, Place
from app.stores.secrets import owner_and_name

PASSES_MAX: Final = 5
CONFLICTS_MAX: Final = 20
"""Writes of others that one record may lose against in a row."""
UNOPENED_MAX: Final = 1000
"""Records that a report names; the others are counted."""

_NO_KEY: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Unopened:
    """A record that stays as it is. ``tenant`` is `_bundle` for the providers' own secrets."""

    tenant: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass is."""

    done: int
    records: int


@dataclass(slots=True)
class RekeyReport:
    """What a rotation found and did."""

    current_key: str
    """The id of the key that seals, in hex."""
    is_dry_run: bool
    records: int = 0
    """Secrets that the last pass found."""
    resealed: int = 0
    """With `is_dry_run`: that would have been."""
    already_current: int = 0
    """That needed nothing in the first pass."""
    unopened: list[Unopened] = field(default_factory=list)
    unopened_count: int = 0
    sealed_with: Mapping[str, int] = field(default_factory=dict)
    """Records by the id of their key, at the end."""
    is_complete: bool = False
    """The last pass found every record sealed with the current key."""


class _Result(Enum):
    CURRENT = "current"
    RESEALED = "resealed"
    GONE = "gone"


class Rekeying:
    """One rotation."""

    def __init__(self, bucket: KvBucket, env: str, keys: Keyring, *, is_dry_run: bool) -> None:
        self._bucket = bucket
        self._env = env
        self._keys = keys
        self._is_dry_run = is_dry_run

    async def run(self, on_progress: Callable[[Progress], None]) -> RekeyReport:
        """Seal everything anew. UnavailableError: NATS is away; what was done stays done."""
        report = RekeyReport(self._keys.current.key_id.hex(), self._is_dry_run)
        for number in range(PASSES_MAX):
            results = await self._pass(report, on_progress)
            if number == 0:
                report.already_current = results[_Result.CURRENT]
            report.resealed += results[_Result.RESEALED]
            if self._is_dry_run or not results[_Result.RESEALED]:
                break
        # The last pass changed nothing, so what it counted is what is there.
        report.is_complete = set(report.sealed_with) <= {report.current_key} and (
            report.records == results[_Result.CURRENT]
        )
        return report

    async def _pass(
        self, report: RekeyReport, on_progress: Callable[[Progress], None]
    ) -> Counter[_Result]:
        results: Counter[_Result] = Counter()
        sealed_with: Counter[str] = Counter()
        keys = sorted(await self._bucket.keys())
        report.unopened, report.unopened_count, report.records = [], 0, 0
        for done, key in enumerate(keys, start=1):
            entry = await self._bucket.get_surely(key)
            on_progress(Progress(done, len(keys)))
            if entry.value is None:
                continue
            report.records += 1
            sealed_with[_key_id_of(entry.value)] += 1
            try:
                results[await self._reseal(key, entry)] += 1
            except (SealError, ConflictError) as error:
                _note(report, key, str(error))
        report.sealed_with = dict(sorted(sealed_with.items()))
        return results

    async def _reseal(self, key: str, entry: KvEntry) -> _Result:
        """Open a record, and seal it anew unless that is done. SealError, ConflictError."""
        place = self._place_of(key)
        for _ in range(CONFLICTS_MAX):
            if entry.value is None:
                return _Result.GONE
            content = self._keys.open(place, entry.value)
            if self._keys.is_current(entry.value):
                return _Result.CURRENT
            if self._is_dry_run:
                return _Result.RESEALED
            try:
                sealed = self._keys.seal(place, content)
                await self._bucket.put(key, sealed, revision=entry.revision)
            except ConflictError:
                entry = await self._bucket.get_surely(key)
            else:
                return _Result.RESEALED
        raise ConflictError("is written so often that it could not be sealed anew; try again")

    def _place_of(self, key: str) -> Place:
        found = owner_and_name(key)
        if found is None:
            raise SealError("is no key of a secret")
        return Place(self._env, *found)


def _key_id_of(envelope: bytes) -> str:
    label = EnvelopeLabel.read(envelope)
    return _NO_KEY if label is None else label.key_id.hex()


def _note(report: RekeyReport, key: str, reason: str) -> None:
    report.unopened_count += 1
    if len(report.unopened) < UNOPENED_MAX:
        tenant, name = owner_and_name(key) or (key.partition(".")[0], key)
        report.unopened.append(Unopened(tenant, name, reason))
