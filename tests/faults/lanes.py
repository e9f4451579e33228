"""What flow control promised (SPEC 8), seen from the world outside.

In: what was seen. Out: what speaks against a promise, by promise. A worker that is killed leaves
calls behind that nobody waits for any more: an effect that was called more than once says nothing
about how many runs there were at once, and only its last call counts.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.observed import Call, Seen
from tests.faults.scenario import NARROW_MAX


@dataclass(frozen=True)
class _Visit:
    """The calls of one run."""

    number: int
    first_ns: int
    last_ns: int
    end_ns: int
    is_repeated: bool


def check_lanes(seen: Seen) -> Mapping[str, Sequence[str]]:
    """Check order and concurrency of each key."""
    return {
        "runs of one key follow each other": list(_disorder(seen)),
        "no more runs of one key at once than allowed": list(_crowds(seen)),
    }


def _disorder(seen: Seen) -> Iterator[str]:
    """Events of a key are called for in the order of the stream, one after the other."""
    for shard, visits in _by_shard(seen, "order.made", "in-order/ring").items():
        for earlier, later in pairwise(visits):
            if later.first_ns < earlier.last_ns:
                seconds = (earlier.last_ns - later.first_ns) / 1e9
                yield f"key {shard}: {later.number} began {seconds:.2f} s before {earlier.number}"


def _crowds(seen: Seen) -> Iterator[str]:
    for shard, visits in _by_shard(seen, "narrow.made", "narrow/ring").items():
        whole = [visit for visit in visits if not visit.is_repeated]
        for visit in whole:
            at_once = [
                other.number for other in whole if other.last_ns <= visit.last_ns < other.end_ns
            ]
            if len(at_once) > NARROW_MAX:
                yield f"key {shard}: {at_once} at once"


def _by_shard(seen: Seen, event_type: str, node: str) -> Mapping[int, Sequence[_Visit]]:
    """Give the visits of each key, in the order of the stream."""
    shards: defaultdict[int, list[_Visit]] = defaultdict(list)
    for item in sorted(seen.events, key=lambda item: item.sequence):
        if item.document["event_type"] == event_type:
            payload = item.document["payload"]
            calls = seen.calls.get(f"{node}/{payload['number']}", ())
            if calls:
                shards[payload["shard"]].append(_visit(payload["number"], calls))
    return shards


def _visit(number: int, calls: Sequence[Call]) -> _Visit:
    last = calls[-1]
    return _Visit(number, calls[0].at_ns, last.at_ns, last.end_ns, len(calls) > 1)
