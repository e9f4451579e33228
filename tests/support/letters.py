"""A desk for dead letters on a rig, and letters by the thousand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

from actors.outcomes import RunError
from actors.ports import Clock, Continuations, DeadLetter
from app.bus.direct import DirectReader
from app.control import names
from app.dead_letters.desk import DeadLetterDesk
from app.dead_letters.letters import KeptLetter
from app.system import SystemClock
from tests.support.builders import an_event
from tests.support.bus_rig import BusRig

REASONS = ("http.timeout", "script", "poison")


@contextlib.asynccontextmanager
async def a_desk(
    rig: BusRig, continuations: Continuations, clock: Clock | None = None
) -> AsyncIterator[DeadLetterDesk]:
    """Give a desk on the rig's own DEAD stream."""
    reader = await DirectReader.start(rig.bus)
    try:
        yield DeadLetterDesk(
            reader,
            continuations,
            clock or SystemClock(),
            env=rig.env,
            stream=names.dead_stream(rig.env),
        )
    finally:
        await reader.close()


def a_letter(number: int, tenant: str = "acme", **fields: object) -> DeadLetter:
    """The letter of a failed run; flow, reason and type of event go round by its number."""
    reason = REASONS[number % 3]
    given: dict[str, object] = {
        "tenant": tenant,
        "reason": reason,
        "error": RunError(reason, "call", "no answer"),
        "attempts": 3,
        "letter_id": f"r{number}",
        "event": an_event(f"e{number}", f"order.t{number % 5}", payload={"n": number}),
        "flow": f"flow{number % 2}",
        "trigger": 1,
        "failed_ms": 1000 + number,
    }
    return DeadLetter(**{**given, **fields})  # type: ignore[arg-type]


async def park_all(rig: BusRig, letters: Iterable[DeadLetter]) -> None:
    """Park letters in their order, many at a time on the wire."""
    async with asyncio.TaskGroup() as tasks:
        for letter in letters:
            tasks.create_task(rig.dead_letters.park(letter))


def letter_ids(letters: Sequence[KeptLetter]) -> list[str]:
    """The ids of a page."""
    return [kept.id for kept in letters]
