"""JSON bodies as they come from strangers.

In: raw bytes. Out: a JSON value with exact integers. Refuses, with InvalidEventError, what is not
UTF-8 JSON, NaN and infinities, and documents that nest deeper than SPEC 13 allows.
"""

from typing import Any

import msgspec

from actors.errors import InvalidEventError
from actors.events import JSON_DEPTH_MAX, json_depth_exceeds

_decode = msgspec.json.Decoder().decode
_TOO_DEEP = f"nests deeper than {JSON_DEPTH_MAX} levels"


def decode_json_body(body: bytes) -> Any:
    """Read one JSON document; InvalidEventError says why it is none."""
    if not body:
        raise InvalidEventError("payload", "the body is empty; send a JSON document")
    try:
        value = _decode(body)
    except RecursionError:
        raise InvalidEventError("payload", _TOO_DEEP) from None
    except UnicodeDecodeError:
        raise InvalidEventError("payload", "the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise InvalidEventError("payload", f"the body is not JSON: {error}") from None
    if _may_be_deep(body) and json_depth_exceeds(value):
        raise InvalidEventError("payload", _TOO_DEEP)
    return value


def _may_be_deep(body: bytes) -> bool:
    """Spare most documents the walk: fewer brackets than levels cannot nest too deep."""
    return body.count(b"{") + body.count(b"[") > JSON_DEPTH_MAX
