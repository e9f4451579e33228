"""Reading a tenant's event stream whole, with a client that is not ours."""

import json
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig

FETCH_SECONDS = 10.0


async def read_stream(credentials: dict[str, Any], stream: str, subject: str) -> list[Any]:
    """Give every stored message of a subject filter, decoded, in stream order."""
    client = await nats.connect(
        credentials["url"], user=credentials["user"], password=credentials["password"]
    )
    try:
        jetstream = client.jetstream()
        info = await jetstream.stream_info(stream, subjects_filter=subject)
        left = sum((info.state.subjects or {}).values())
        documents: list[Any] = []
        if left == 0:
            return documents
        unacked = ConsumerConfig(ack_policy=AckPolicy.NONE)
        pull = await jetstream.pull_subscribe(subject, stream=stream, config=unacked)
        while len(documents) < left:
            messages = await pull.fetch(min(500, left - len(documents)), timeout=FETCH_SECONDS)
            documents += [json.loads(message.data) for message in messages]
        return documents
    finally:
        await client.close()
