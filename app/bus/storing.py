"""Waiting for acknowledgements as ports promise it: all stored, or UnavailableError.

In: futures of `AckedPublisher`. Out: their acknowledgements. Refuses to say "stored" of a batch
when one of it may not be.
"""

import asyncio
from collections.abc import Sequence

from actors.errors import UnavailableError
from app.bus.acked_publisher import RETRY_AFTER_SECONDS, PubAck, PublishRefusedError


async def wait_all(futures: "Sequence[asyncio.Future[PubAck]]") -> list[PubAck]:
    """Wait for every acknowledgement, also when one has failed, then raise the first failure."""
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    acks: list[PubAck] = []
    for outcome in outcomes:
        if isinstance(outcome, PublishRefusedError):
            raise as_unavailable(outcome)
        if isinstance(outcome, BaseException):
            raise outcome
        acks.append(outcome)
    return acks


def as_unavailable(error: Exception) -> UnavailableError:
    """Turn a refusal into what ports may raise: nothing was stored, ask again later."""
    if isinstance(error, UnavailableError):
        return error
    unavailable = UnavailableError(
        f"the bus refused the message: {error}", retry_after_seconds=RETRY_AFTER_SECONDS
    )
    unavailable.__cause__ = error
    return unavailable
