"""A key-value bucket of JetStream, thin and typed.

In: keys of dot-separated tokens, values as bytes. Out: entries with revisions. Refuses keys that
are not literal subjects; ConflictError when a compare-and-set came too late; UnavailableError when
nobody answers. Buckets are made by `app.control` alone, with history 1 and message TTLs.

Raw requests instead of the client library's bucket: its ``put`` takes no TTL, and an expired key
reads there as an entry without value that ``create`` then refuses (measured).
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.errors import UnavailableError
from app.bus.acked_publisher import TEMPORARY
from app.bus.leader import read_last, read_next
from app.errors import ConflictError, StoreError

REQUEST_SECONDS: Final = 5.0
KEYS_MAX: Final = 100_000
READS_AT_ONCE: Final = 50
TOMBSTONE_TTL: Final = "24h"
"""How long a deleted key is remembered, for whoever watches the bucket."""

TAG: Final = "Greentic-Tag"
"""The header that carries a tag."""

WRONG_LAST_SEQUENCE: Final = 10071
UNDECIDED: Final = 10164
"""In a cluster: another write of the key is on its way to the replicas, and may yet fail."""
UNDECIDED_PAUSE_SECONDS: Final = 0.01

_KEY = re.compile(r"[A-Za-z0-9_=/-]+(?:\.[A-Za-z0-9_=/-]+)*")
_BUCKET = re.compile(r"[A-Za-z0-9_-]+")
_KEY_CHARS_MAX: Final = 900
_UNAVAILABLE: Final = 503


class Reply(Protocol):
    """An answer off the bus."""

    @property
    def data(self) -> bytes:
        """Its payload."""
        ...

    @property
    def headers(self) -> Mapping[str, str] | None:
        """Its headers, if it carries any."""
        ...


class Requester(Protocol):
    """What a store needs of the bus: a question and its answer."""

    @property
    def lone_server(self) -> str | None:
        """The name of the server; None where it is one of a cluster."""
        ...

    async def request(
        self,
        subject: str,
        data: bytes,
        *,
        timeout_seconds: float,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Ask and wait for one answer; UnavailableError when none comes."""
        ...


@dataclass(frozen=True, slots=True)
class KvEntry:
    """What is under a key. ``value`` None: nothing (any more); revision 0: never, or forgotten."""

    value: bytes | None
    revision: int
    tag: str = ""
    """What its writer put beside the value; deleted keys have one too."""


@dataclass(frozen=True, slots=True)
class KvChange:
    """A key and what was written there, or that it was deleted."""

    key: str
    entry: KvEntry


class _UndecidedError(StoreError):
    """Whether it is a conflict is not known yet."""


class KvBucket:
    """One bucket. Revisions are sequences of its stream: they grow and never repeat."""

    def __init__(self, requester: Requester, bucket: str) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise StoreError(f"{bucket!r} cannot name a bucket")
        self._requester = requester
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."

    async def get(self, key: str) -> KvEntry:
        """Read the last value.

        In a cluster from the bucket's leader: a replica that catches up answers with what was true
        seconds ago, and a run would not read what it has just written (measured).
        """
        subject = f"$JS.API.DIRECT.GET.{self._stream}.{self._subject(key)}"
        if self._requester.lone_server is None:
            return await self.get_surely(key)
        reply = await self._requester.request(subject, b"", timeout_seconds=REQUEST_SECONDS)
        headers = reply.headers or {}
        status = headers.get("Status")
        if status == "404":
            return KvEntry(None, 0)
        if status is not None:
            raise StoreError(f"reading {key!r}: {status} {headers.get('Description', '')}")
        return _entry(reply.data, headers, int(headers["Nats-Sequence"]))

    async def get_surely(self, key: str) -> KvEntry:
        """Read the last value from the bucket's leader, also where there is only one server."""
        message = await read_last(self._requester, self._stream, self._subject(key))
        if message is None:
            return KvEntry(None, 0)
        return _entry(message.data, message.headers, message.sequence)

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        revision: int | None = None,
        ttl_seconds: int | None = None,
        tag: str = "",
    ) -> int:
        """Write and give the new revision; with ``revision`` only if that is still the last one.

        Revision 0 means: only if there is nothing, not even a tombstone. Whole seconds of TTL, at
        least 1; the expired key is as if it had never been.
        """
        headers = {} if ttl_seconds is None else {"Nats-TTL": f"{ttl_seconds}s"}
        return await self._store(key, value, headers | _tagged(tag), revision)

    async def delete(
        self,
        key: str,
        *,
        revision: int | None = None,
        tag: str = "",
        remembered: str = TOMBSTONE_TTL,
    ) -> None:
        """Forget the value, leaving a tombstone for a while; an absent key is no error.

        ``remembered``: for how long, as nats-server writes it: ``24h``, ``10s``.
        """
        if revision is None and (await self.get(key)).value is None:
            return
        headers = {"KV-Operation": "DEL", "Nats-TTL": remembered}
        await self._store(key, b"", headers | _tagged(tag), revision)

    @property
    def pattern(self) -> str:
        """The subjects on which writes of the bucket can be heard, before they are decided."""
        return f"{self._prefix}>"

    def pattern_of(self, prefix: str) -> str:
        """Give the same of the keys alone whose first tokens are ``prefix``."""
        return f"{self._subject(prefix)}.>"

    async def next_change(self, revision: int) -> KvChange | None:
        """Give the first key whose last write came after this revision; None: there is none.

        Asked of the bucket's leader. Asking on with the revisions it gives goes through all keys.
        """
        found = await read_next(self._requester, self._stream, self.pattern, revision + 1)
        if found is None:
            return None
        key = found.subject.removeprefix(self._prefix)
        return KvChange(key, _entry(found.data, found.headers, found.sequence))

    async def entries(self, prefix: str = "") -> dict[str, KvEntry]:
        """Read all that has a value, of the keys whose first tokens are ``prefix``."""
        limit = asyncio.Semaphore(READS_AT_ONCE)

        async def read(key: str) -> KvEntry:
            async with limit:
                return await self.get_surely(key)

        keys = sorted(await self.written_keys(prefix))
        found = zip(keys, await asyncio.gather(*map(read, keys)), strict=True)
        return {key: entry for key, entry in found if entry.value is not None}

    async def keys(self, prefix: str = "") -> frozenset[str]:
        """List the keys that have a value, of those whose first tokens are ``prefix``."""
        keys = await self.written_keys(prefix)
        return frozenset([key for key in keys if (await self.get_surely(key)).value is not None])

    async def written_keys(self, prefix: str = "") -> list[str]:
        """List the keys that have a value or a tombstone: one question for many keys."""
        wanted = f"{self._subject(prefix)}.>" if prefix else f"{self._prefix}>"
        names: list[str] = []
        while len(names) < KEYS_MAX:
            body = json.dumps({"subjects_filter": wanted, "offset": len(names)}).encode()
            page = await self._ask(f"$JS.API.STREAM.INFO.{self._stream}", body)
            subjects = page["state"].get("subjects") or {}
            names += subjects
            if not subjects or len(names) >= page.get("total", 0):
                break
        return [name.removeprefix(self._prefix) for name in names]

    async def last_revision(self) -> int:
        """Give the revision of the bucket's last write, deletions included: one cheap question."""
        document = await self._ask(f"$JS.API.STREAM.INFO.{self._stream}", b"")
        return int(document["state"]["last_seq"])

    async def _store(
        self, key: str, value: bytes, headers: dict[str, str], revision: int | None
    ) -> int:
        if revision is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(revision)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._store_decided(self._subject(key), value, headers)
        except TimeoutError:
            raise UnavailableError(f"another write of {key!r} does not end") from None

    async def _store_decided(self, subject: str, value: bytes, headers: dict[str, str]) -> int:
        """Write as soon as the server can tell whether the revision is the last one."""
        while True:
            try:
                return int((await self._ask(subject, value, headers or None))["seq"])
            except _UndecidedError:
                await asyncio.sleep(UNDECIDED_PAUSE_SECONDS)

    async def _ask(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        reply = await self._requester.request(
            subject, data, timeout_seconds=REQUEST_SECONDS, headers=headers
        )
        document: dict[str, Any] = json.loads(reply.data)
        error = document.get("error")
        if error is None:
            return document
        text = f"{subject}: {error.get('description', 'refused')}"
        if error.get("err_code") == WRONG_LAST_SEQUENCE:
            raise ConflictError(text)
        if error.get("err_code") == UNDECIDED:
            raise _UndecidedError(text)
        if error.get("code") == _UNAVAILABLE or error.get("err_code") in TEMPORARY:
            raise UnavailableError(text)
        raise StoreError(text)

    def _subject(self, key: str) -> str:
        if len(key) > _KEY_CHARS_MAX or not _KEY.fullmatch(key):
            raise StoreError(f"{key!r} cannot be a key of a bucket")
        return self._prefix + key


def _entry(data: bytes, headers: Mapping[str, str], revision: int) -> KvEntry:
    is_gone = "KV-Operation" in headers or "Nats-Marker-Reason" in headers
    return KvEntry(None if is_gone else data, revision, headers.get(TAG, ""))


def _tagged(tag: str) -> dict[str, str]:
    return {TAG: tag} if tag else {}
