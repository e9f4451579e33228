"""When a step that failed for now is tried again (SPEC 4, `retry` and `retry_policy`).

In: a policy, how often it was tried, what the world said. Out: a pause. Nothing here is drawn by
lot: a repeated run pauses alike. Refuses (None) once the retries are used up.
"""

import hashlib
from typing import Final

from actors.errors import TransientError
from actors.nodes.schema import RETRY_DELAY_MS_MAX, RetryPolicy

FLOW: Final = ""
"""In a continuation's `retries`, the key of the flow's own policy."""

_FRACTION_BITS: Final = 64


def pause_ms(
    policy: RetryPolicy | None, retries: int, error: TransientError, name: str
) -> int | None:
    """Give the pause before the next try in milliseconds; ``name`` spreads those of one moment.

    ``Retry-After`` may make it longer than the policy's longest pause, up to a day.
    """
    if policy is None or retries >= policy.max_retries:
        return None
    own_ms = _own_ms(policy, retries, name)
    hint_ms = round((error.retry_after_seconds or 0.0) * 1000)
    return min(max(own_ms, hint_ms), RETRY_DELAY_MS_MAX)


def _own_ms(policy: RetryPolicy, retries: int, name: str) -> int:
    match policy.backoff:
        case "fixed":
            return min(policy.initial_ms, policy.max_ms)
        case "linear":
            return min(policy.initial_ms * (retries + 1), policy.max_ms)
        case _:
            longest_ms = min(policy.initial_ms << retries, policy.max_ms)
            return longest_ms - (longest_ms // 2 * _fraction(f"{name}:{retries}") >> _FRACTION_BITS)


def _fraction(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=_FRACTION_BITS // 8).digest()
    return int.from_bytes(digest)
