"""Many events in one request: all are tried, and the sender hears the outcome of each.

In: what a provider made of a batch. Out: a `BatchOutcome`. The status is 202 only if every item is
stored; else it is that of the worst item, since a 2xx would say that nothing needs to be repeated.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from actors.errors import InvalidEventError
from actors.ports import Ids, NormalizedEvent, PublishAck
from app.http.asgi import JSON, Send, send_bytes, send_problem
from app.http.doors import IngressDoor
from app.http.problems import Problem, problem_of

AT_ONCE: Final = 128
"""Items on their way to the bus at once: a batch must not fill the tenant's mailbox."""

ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """The acknowledgement or the problem of each item, in the request's order."""

    items: Sequence[PublishAck | Problem]

    @property
    def problems(self) -> list[Problem]:
        """Those that were not stored."""
        return [item for item in self.items if isinstance(item, Problem)]

    @property
    def is_complete(self) -> bool:
        """Whether every item is stored."""
        return not self.problems

    async def send(self, send: Send) -> int:
        """Answer, and give the status."""
        results = [_describe(index, item) for index, item in enumerate(self.items)]
        problems = self.problems
        if not problems:
            body = msgspec.json.encode({"accepted": len(results), "results": results})
            await send_bytes(send, ACCEPTED, [JSON], body)
            return ACCEPTED
        worst = max(problems, key=lambda problem: problem.status)
        detail = f"{len(problems)} of {len(results)} items are not stored; results tells which"
        whole = Problem(
            worst.status,
            code="http.batch",
            title="Some items of the batch are not stored",
            detail=detail,
            headers=worst.headers,
            extra={"accepted": len(results) - len(problems), "results": results},
        )
        await send_problem(send, whole)
        return whole.status


async def store_batch(
    door: IngressDoor,
    provider: str,
    events: Sequence[NormalizedEvent | InvalidEventError],
    ids: Ids,
) -> BatchOutcome:
    """Store what can be stored, in order within the bounds of `AT_ONCE`."""
    items: list[PublishAck | Problem] = []
    for start in range(0, len(events), AT_ONCE):
        part = events[start : start + AT_ONCE]
        items += await asyncio.gather(*(_store(door, provider, event, ids) for event in part))
    return BatchOutcome(items)


async def _store(
    door: IngressDoor, provider: str, event: NormalizedEvent | InvalidEventError, ids: Ids
) -> PublishAck | Problem:
    if isinstance(event, InvalidEventError):
        return problem_of(event)
    try:
        return await door.accept(provider, event, event_id=ids.event_id(), reply_to=None)
    except Exception as error:  # noqa: BLE001 - an item's edge: its failure is its own outcome
        return problem_of(error)


def _describe(index: int, item: PublishAck | Problem) -> dict[str, Any]:
    if isinstance(item, Problem):
        error = {"status": item.status, "code": item.code, "detail": item.detail}
        return {"index": index, "error": error}
    duplicate = {"duplicate": True} if item.is_duplicate else {}
    return {"index": index, "event_id": item.event_id} | duplicate
