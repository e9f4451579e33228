"""What must hold when flows change while events flow, judged from what is stored.

In: changes with their times, events that got a 2xx, results. Out: findings, in words. All times are
milliseconds of one machine's clock.

A change is in force everywhere once its apply has said so; from its begin until then either version
may run. So an event may be handled by the version in force when it was sent, or by any whose change
had begun before its run did; and no run may begin on a version that had been replaced everywhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """One apply or rollback that every worker acknowledged."""

    version: int
    """What the flow says while it is in force."""
    has_second: bool
    """Whether the flow of the second type is there."""
    began_ms: float
    done_ms: float


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that got a 2xx."""

    event_id: str
    is_second: bool
    """It is of the type that only some versions want."""
    sent_ms: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A result."""

    event_id: str
    flow: str
    version: int
    started_ms: float


def judge(changes: Sequence[Change], sent: Iterable[Sent], seen: Iterable[Seen]) -> list[str]:
    """Give what does not hold."""
    results: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        results[one.event_id].append(one)
    findings: list[str] = []
    for event in sent:
        found = results.get(event.event_id, [])
        findings += (
            _of_second(changes, event, found) if event.is_second else _of_first(event, found)
        )
        for result in found:
            findings += _of_version(changes, event, result)
    return findings


def _of_first(event: Sent, found: Sequence[Seen]) -> list[str]:
    if len(found) == 1:
        return []
    return [f"{event.event_id}: {len(found)} results, and it was to have one"]


def _of_second(changes: Sequence[Change], event: Sent, found: Sequence[Seen]) -> list[str]:
    """Judge an event that only some versions want, where no change was near."""
    if len(found) > 1:
        return [f"{event.event_id}: {len(found)} results of one flow"]
    before = [each for each in changes if each.done_ms < event.sent_ms]
    if not before or _is_changing(changes, event.sent_ms):
        return []
    is_wanted = before[-1].has_second
    if is_wanted and not found:
        return [f"{event.event_id}: lost, though version {before[-1].version} wants it"]
    if not is_wanted and found and found[0].started_ms < _next_begin(changes, event.sent_ms):
        return [f"{event.event_id}: run by a flow that was not there"]
    return []


def _of_version(changes: Sequence[Change], event: Sent, result: Seen) -> list[str]:
    oldest = [n for n, each in enumerate(changes) if each.done_ms < result.started_ms]
    newest = [n for n, each in enumerate(changes) if each.began_ms <= result.started_ms]
    allowed = {
        each.version
        for each in changes[oldest[-1] if oldest else 0 : newest[-1] + 1 if newest else 0]
    }
    if result.version in allowed:
        return []
    began = f"{event.event_id}: began on version {result.version} of {result.flow}"
    return [f"{began}, when only {sorted(allowed)} may have been in force"]


def _is_changing(changes: Sequence[Change], at_ms: float) -> bool:
    return any(each.began_ms <= at_ms <= each.done_ms for each in changes)


def _next_begin(changes: Sequence[Change], at_ms: float) -> float:
    return next((each.began_ms for each in changes if each.began_ms > at_ms), float("inf"))
