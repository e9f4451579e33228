"""Made-up run records for the benchmark of the history: the same for the same number.

24 tenants of unequal size, flows and statuses from frequent to once in a hundred thousand, errors
with a part that differs, correlation ids of one run and of thousands, event ids of ours (in the
order of time) and of senders' (in none).
"""

import hashlib
import random
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from actors.ids import format_ulid, run_id

BEGIN_MS = 1_790_000_000_000
APART_MS = 518
"""Five million in thirty days."""
TENANTS = tuple(f"tenant-{number:02d}" for number in range(24))
STATUSES = ("completed", "failed", "rejected", "cancelled")
STATUS_WEIGHTS = tuple(accumulate((0.93, 0.055, 0.01, 0.005)))
CODES = ("http.status", "timeout", "script.error", "too_large", "budget", "http.connect")
MESSAGES = (
    "the server answered 503 to order {0}", "the step took longer than 30000 ms for {0}",
    "no such field 'amount' in line {1} of {0}", "output of {0} is larger than 262144 bytes",
    "connection to host-{1}.example.org refused", "name not known: host-{1}.example.net ({0})",
)  # fmt: skip
RARE_MESSAGE = "a meteor struck the data centre of {0}"
RARE_EVERY = 20_011
STEPS = (("check", "branch", False), ("fetch", "http", True), ("store", "state", True))


def _weights(count: int) -> tuple[float, ...]:
    """The n-th is as heavy as the first, divided by n: sums, up to 1."""
    sums = tuple(accumulate(1 / (n + 1) for n in range(count)))
    return tuple(value / sums[-1] for value in sums)


TENANT_WEIGHTS = _weights(len(TENANTS))
FLOWS = {tenant: 3 + 3 * n for n, tenant in enumerate(TENANTS)}
FLOW_WEIGHTS = {count: _weights(count) for count in FLOWS.values()}


def records(begin: int, count: int) -> Iterator[dict[str, Any]]:
    for number in range(begin, begin + count):
        yield record(number)


def record(number: int) -> dict[str, Any]:
    dice = random.Random(number)  # noqa: S311 - the same for the same number
    tenant = TENANTS[bisect(TENANT_WEIGHTS, dice.random())]
    flow_number = bisect(FLOW_WEIGHTS[FLOWS[tenant]], dice.random())
    flow = f"shop.flow-{flow_number:02d}" if number % 99_991 else "shop.once-in-a-while"
    status = STATUSES[bisect(STATUS_WEIGHTS, dice.random())]
    finished_ms = BEGIN_MS + number * APART_MS + dice.randrange(3000)
    tail = dice.randbytes(10)
    event = f"{tail.hex()}-{number}" if dice.random() < 0.3 else format_ulid(finished_ms, tail)
    order = dice.randrange(10**8)
    return {
        "tenant": tenant,
        "event_type": f"order.type-{flow_number % 5}",
        "trigger": "event",
        "parent_run_id": run_id(str(number // 7), flow) if dice.random() < 0.1 else None,
        "correlation_id": _correlation(dice, number),
        "path": [name for name, _, _ in STEPS],
        "event_id": event,
        "run_id": run_id(event, flow),
        "flow": flow,
        "flow_version": "3f2a9c1d0b7e",
        "status": status,
        "output": {"order": order, "customer": f"c{order % 9973}@example.org", "is_paid": True},
        "error": _error(number, order) if status == "failed" else None,
        "started_ms": finished_ms - 40,
        "finished_ms": finished_ms,
        "attempt": 1,
        "usage": {"events": 1, "operations": order % 999, "effects": 2, "bytes": order % 4000},
        "steps": [_step(*step, order) for step in STEPS],
    }


def _correlation(dice: random.Random, number: int) -> str | None:
    chance = dice.random()
    if chance < 0.6:
        return None
    if chance < 0.65:
        return f"campaign-{number % 10}"
    return hashlib.blake2b(str(number).encode(), digest_size=12).hexdigest()


def _error(number: int, order: int) -> dict[str, Any]:
    kind = order % len(CODES)
    message = RARE_MESSAGE if number % RARE_EVERY < 9 else MESSAGES[kind]
    text = message.format(f"ord-{order}", order % 50)
    return {"code": CODES[kind], "node": "fetch", "message": text}


def _step(name: str, node: str, is_journalled: bool, order: int) -> dict[str, Any]:
    return {
        "step": name, "node": node, "at_ms": order % 30, "took_us": order % 30_000,
        "outcome": "done", "attempt": 1, "is_journalled": is_journalled, "is_replayed": False,
        "input": {"order": order}, "output": {"ok": True, "id": order},
    }  # fmt: skip
