"""Archives of bundles in JetStream's object store, each under the digest of its content.

In: bytes under a digest. Out: the same bytes. An archive is written once and never over: a name
says the content. Only `app.control` makes the bucket. UnavailableError when nobody answers,
StoreError for what was damaged there.

The record of an object is changed by compare-and-set alone. Of two who store the same archive at
once one wins, and the other takes its own chunks away again; what is being collected cannot be
reported as stored, since storing it notes a new time on its record, and collecting it asks for the
time that was seen.
"""

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from actors.errors import UnavailableError
from app.bus.acked_publisher import TEMPORARY
from app.bus.leader import read_last, read_next
from app.errors import BusError, ConflictError, StoreError
from app.stores.blobs import STORED_MS
from app.stores.kv import UNDECIDED, WRONG_LAST_SEQUENCE, Requester

STORE_SECONDS_MAX: Final = 60.0
"""For one archive, to be written or read: 32 MiB."""
REQUEST_SECONDS: Final = 10.0
CHUNK_BYTES: Final = 128 * 1024
RENEW_MS: Final = 10 * 60_000
"""An archive that is stored again notes the new time where the old one is older than that."""
CHUNKS_MAX: Final = 1024
ATTEMPTS_MAX: Final = 5
AGAIN_SECONDS: Final = 0.05
OBJECTS_MAX: Final = 100_000

_UNAVAILABLE: Final = 503
_MS_DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """An archive's record: when it was stored last, and the place of that note."""

    digest: str
    stored_ms: int
    sequence: int


class ArchiveObjects:
    """The archives of one env."""

    def __init__(self, bus: Requester, bucket: str) -> None:
        self._bus = bus
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"

    async def put(self, digest: str, content: bytes, now_ms: int) -> None:
        """Store an archive; one that is there already stays, and is kept as if it were new."""
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                for _ in range(ATTEMPTS_MAX):
                    with suppress(ConflictError):  # somebody else stores or collects it
                        return await self._put(digest, content, now_ms)
                    await asyncio.sleep(AGAIN_SECONDS)
        except TimeoutError as error:
            raise UnavailableError("the object store of bundles takes too long") from error
        raise UnavailableError("the archive is being changed by others", retry_after_seconds=1.0)

    async def get(self, digest: str) -> bytes | None:
        """Read an archive; None where there is none, or no more. StoreError: it is damaged.

        All is asked of the stream's leader: a consumer may run beside a replica that lags, and end
        half-way (a bundle is read the moment after it was stored).
        """
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                while (found := await self._record(digest)) is not None:
                    content = await self._content(found[0])
                    if content is not None:
                        return content
                    if await self._record(digest) == found:
                        raise StoreError(f"the archive {digest} is damaged: it is not whole")
        except TimeoutError as error:
            raise UnavailableError("the object store of bundles takes too long") from error
        return None

    async def find(self, digest: str) -> StoredArchive | None:
        """Look at an archive's record; None where there is none."""
        found = await self._record(digest)
        return None if found is None else _stored(*found)

    async def all(self) -> AsyncIterator[StoredArchive]:
        """Give every archive's record."""
        async for document, sequence in self._records():
            yield _stored(document, sequence)

    async def delete(self, archive: StoredArchive) -> bool:
        """Delete an archive, if its record is still the one that was seen."""
        found = await self._record(archive.digest)
        if found is None or found[1] != archive.sequence:
            return False
        document = found[0]
        gone = {**document, "size": 0, "chunks": 0, "digest": "", "deleted": True}
        try:
            await self._write_record(gone, archive.sequence)
        except ConflictError:
            return False
        await self._purge(str(document["nuid"]))
        return True

    async def sweep(self, since_ms: int) -> int:
        """Delete what was left of archives whose storing, begun before then, was cut short."""
        places = await self._places()
        known = set()
        async for document, _ in self._records():
            known.add(str(document.get("nuid")))
        left = [one for one in places - known if 0 <= _begun_ms(one) < since_ms]
        for place in left:
            await self._purge(place)
        return len(left)

    async def _content(self, record: Mapping[str, Any]) -> bytes | None:
        """Read an archive's chunks; None: they are not all there, or not what was written."""
        subject = f"$O.{self._bucket}.C.{record['nuid']}"
        content, sequence = bytearray(), 0
        for _ in range(min(int(record["chunks"]), CHUNKS_MAX)):
            message = await read_next(self._bus, self._stream, subject, sequence + 1)
            if message is None:
                return None
            content += message.data
            sequence = message.sequence
        return bytes(content) if _digest_of(content) == record["digest"] else None

    async def _put(self, digest: str, content: bytes, now_ms: int) -> None:
        message = await read_last(self._bus, self._stream, self._subject(digest))
        sequence = 0 if message is None else message.sequence
        document = {} if message is None else _parse(message.data)
        if message is None or document.get("deleted"):
            await self._upload(digest, content, now_ms, sequence)
        elif now_ms - _stored(document, sequence).stored_ms > RENEW_MS:
            await self._write_record({**document, "headers": _noted(now_ms)}, sequence)

    async def _upload(self, digest: str, content: bytes, now_ms: int, sequence: int) -> None:
        place = f"{now_ms}-{uuid.uuid4().hex}"
        subject = f"$O.{self._bucket}.C.{place}"
        starts = range(0, len(content), CHUNK_BYTES)
        record = {
            "name": digest,
            "headers": _noted(now_ms),
            "options": {"max_chunk_size": CHUNK_BYTES},
            "bucket": self._bucket,
            "nuid": place,
            "size": len(content),
            "chunks": len(starts),
            "digest": _digest_of(content),
        }
        try:
            for start in starts:
                await self._ask(subject, content[start : start + CHUNK_BYTES])
            await self._write_record(record, sequence)
        except ConflictError:
            await self._purge(place)
            raise
        except UnavailableError:
            # The record may be stored although nobody said so: then its chunks must stay.
            found = await self._record(digest)
            if found is None or found[0].get("nuid") != place:
                await self._purge(place)
            raise

    async def _write_record(self, document: Mapping[str, Any], sequence: int) -> None:
        headers = {
            "Nats-Rollup": "sub",
            "Nats-Expected-Last-Subject-Sequence": str(sequence),
        }
        data = json.dumps(document).encode()
        await self._ask(self._subject(str(document["name"])), data, headers)

    async def _record(self, digest: str) -> tuple[dict[str, Any], int] | None:
        message = await read_last(self._bus, self._stream, self._subject(digest))
        if message is None:
            return None
        document = _parse(message.data)
        return None if document.get("deleted") else (document, message.sequence)

    async def _records(self) -> AsyncIterator[tuple[dict[str, Any], int]]:
        sequence = 0
        pattern = f"$O.{self._bucket}.M.>"
        for _ in range(OBJECTS_MAX):
            message = await read_next(self._bus, self._stream, pattern, sequence + 1)
            if message is None:
                return
            sequence = message.sequence
            document = _parse(message.data)
            if not document.get("deleted"):
                yield document, sequence

    async def _places(self) -> set[str]:
        """Name where chunks lie."""
        prefix = f"$O.{self._bucket}.C."
        found: set[str] = set()
        while len(found) < OBJECTS_MAX:
            question = {"subjects_filter": f"{prefix}>", "offset": len(found)}
            subject = f"$JS.API.STREAM.INFO.{self._stream}"
            answer = await self._ask(subject, json.dumps(question).encode())
            page = answer["state"].get("subjects") or {}
            found |= {name.removeprefix(prefix) for name in page}
            if not page or len(found) >= answer.get("total", 0):
                break
        return found

    async def _purge(self, place: str) -> None:
        body = json.dumps({"filter": f"$O.{self._bucket}.C.{place}"}).encode()
        await self._ask(f"$JS.API.STREAM.PURGE.{self._stream}", body)

    async def _ask(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        reply = await self._bus.request(
            subject, data, timeout_seconds=REQUEST_SECONDS, headers=headers
        )
        document: dict[str, Any] = json.loads(reply.data)
        error = document.get("error")
        if error is None:
            return document
        text = f"the object store of bundles: {error.get('description', 'refused')}"
        if error.get("err_code") in (WRONG_LAST_SEQUENCE, UNDECIDED):
            raise ConflictError(text)
        if error.get("code") == _UNAVAILABLE or error.get("err_code") in TEMPORARY:
            raise UnavailableError(text)
        raise BusError(text, server_code=error.get("err_code"))

    def _subject(self, digest: str) -> str:
        return f"$O.{self._bucket}.M.{_base64(digest.encode())}"


def _stored(document: Mapping[str, Any], sequence: int) -> StoredArchive:
    text = str((document.get("headers") or {}).get(STORED_MS, "0"))
    stored_ms = int(text) if text.isdecimal() and len(text) <= _MS_DIGITS_MAX else 0
    return StoredArchive(str(document["name"]), stored_ms, sequence)


def _begun_ms(place: str) -> int:
    """Give when chunks began to be stored there; -1 for a place that is none of ours."""
    text = place.partition("-")[0]
    return int(text) if text.isdecimal() and len(text) <= _MS_DIGITS_MAX else -1


def _noted(now_ms: int) -> dict[str, str]:
    return {STORED_MS: str(now_ms)}


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise StoreError("a record of the object store is damaged") from error
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise StoreError("a record of the object store is damaged")
    return document


def _digest_of(content: bytes | bytearray) -> str:
    return f"SHA-256={_base64(hashlib.sha256(content).digest())}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
