"""Records as the database keeps them: JSON, compressed.

In: documents. Out: bytes, and back. Refuses with StoreError what it did not write. Records are
short and look alike, so each is compressed against one that was written by hand for that: a third
is left, where without it half would be. The first byte says how; 1 is the only way so far, and the
sample of a way never changes.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from actors.errors import InvalidEventError
from app.bus.codec import decode_json, encode_json
from app.errors import StoreError
from app.history.store.kept import KeptDocument

LEVEL: Final = 3
MEMORY_LEVEL: Final = 6
"""With more, the memory is asked of the system for each record, which takes four times as long."""
DOCUMENT_BYTES_MAX: Final = 1 << 20
"""A record has 64 KiB; what says to be larger than this is damaged."""

_WAY: Final = b"\x01"
_WINDOW: Final = -15
"""Raw deflate with the largest window, which is what holds the sample."""
_SAMPLE: Final = (
    b'"rejected","cancelled","reason":"truncated":true,"preview":"http.status","timeout","slept",'
    b'"called","at_ms":"is_replayed":true,"batch":[],"path_truncated":false,"github.push",'
    b'"webhook.received","email.received","sms.received","timer.fired","body":{"headers":{"status":'
    b'200,"id":"name":"type":"value":"url":"https://"error":{"code":"node":"message":"The step "},'
    b'"status":"failed","output":null,"trigger":"timer","parent_run_id":"'
    b'{"tenant":"default","event_type":"trigger":"event","parent_run_id":null,"path":['
    b'"correlation_id":null,"event_id":"01KB","run_id":"flow":"flow_version":"status":"completed",'
    b'"output":{"ok":true},"error":null,"started_ms":179,"finished_ms":179,"attempt":1,'
    b'"usage":{"events":1,"operations":0,"effects":0,"bytes":0},"steps":[{"step":"node":"http",'
    b'"at_ms":0,"took_us":0,"outcome":"done","attempt":1,"is_journalled":true,"is_replayed":false,'
    b'"input":{},"output":{"status":200,"body":{}}},{"step":"node":"script","at_ms":1,"took_us":1,'
    b'"outcome":"done","attempt":1,"is_journalled":false,"is_replayed":false,"input":{},"output":'
    b'{}},{"step":"node":"branch","code":"failed"}]}'
)


def pack_all(documents: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Write documents; slow enough (16 µs each) to be done beside the loop, in a thread."""
    return [pack(document) for document in documents]


def pack(document: Mapping[str, Any]) -> bytes:
    """Write one document; `unpack` is the inverse.

    Records were JSON before, so that no NaN hides among their nulls: none is looked for.
    """
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, _WINDOW, MEMORY_LEVEL, zdict=_SAMPLE)
    if isinstance(document, KeptDocument):
        data = document.data
    else:
        data = encode_json(document, "record", nulls=DOCUMENT_BYTES_MAX)
    return _WAY + deflate.compress(data) + deflate.flush()


def unpack(body: bytes) -> dict[str, Any]:
    """Read one document."""
    if body[:1] != _WAY:
        raise StoreError("a run's record in the history is written in a way this version lacks")
    inflate = zlib.decompressobj(_WINDOW, zdict=_SAMPLE)
    try:
        document = decode_json(inflate.decompress(body[1:], DOCUMENT_BYTES_MAX), "record")
    except (zlib.error, InvalidEventError) as error:
        raise StoreError(f"a run's record in the history is damaged: {error}") from None
    if not isinstance(document, dict):
        raise StoreError("a run's record in the history is damaged: it is no object")
    return document
