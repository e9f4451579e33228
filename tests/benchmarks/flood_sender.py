"""The tenant that floods: publishes its events at a steady rate until it is ended.

``python -m tests.benchmarks.flood_sender URL USER PASSWORD SUBJECT PER_SECOND``; prints ``sending``
once it has begun, and at the end how many it sent. A process of its own, so that what it costs to
send is not taken for what the others wait.
"""

import asyncio
import signal
import sys
import time
import uuid

import nats
import uvloop

from tests.benchmarks.flood_events import event_bytes

BURST_SECONDS = 0.01


async def main(url: str, user: str, password: str, subject: str, per_second: int) -> None:
    client = await nats.connect(url, user=user, password=password)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    name = uuid.uuid4().hex[:8]
    began, sent = time.monotonic(), 0
    print("sending", flush=True)
    while not ending.is_set():
        wanted = int((time.monotonic() - began) * per_second)
        for number in range(sent, wanted):
            await client.publish(subject, event_bytes(f"{name}-{number}"))
        sent = max(sent, wanted)
        await client.flush()
        await asyncio.sleep(BURST_SECONDS)
    await client.close()
    print(sent, flush=True)


if __name__ == "__main__":
    address, user, password, subject, per_second = sys.argv[1:]
    uvloop.run(main(address, user, password, subject, int(per_second)))
