"""The event that every tenant of the flood benchmark sends."""

import json
import time


def event_bytes(identity: str) -> bytes:
    """Write one order."""
    event = {
        "id": identity,
        "event_type": "order.created",
        "source": "bench",
        "timestamp": int(time.time() * 1000),
        "payload": {"total": 120, "items": [{"price": 60, "quantity": 2}]},
    }
    return json.dumps(event).encode()
