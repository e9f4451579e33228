"""Keys: which runs count together under a rule.

In: a flow's rules and an event. Out: for each rule a short name that is the same for equal keys, as
JSON: ``1`` and ``1.0`` differ, and the order of an object's keys does not matter. Refuses, as
PermanentError, a key that cannot be evaluated or is no JSON.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from actors.errors import PermanentError
from actors.flows.compiled import TENANT_LANE
from actors.flows.control import ControlPlan
from actors.nodes.language import failure_of
from actors.nodes.scope import RunScope
from grammar import EvaluationError, GrammarError, Program

KEY_BYTES_MAX: Final = 16 * 1024
"""A key, as JSON."""

KEY_FAILED: Final = "control_key_failed"

_DIGEST_BYTES: Final = 15


def keys_of(flow: str, plan: ControlPlan, scope: RunScope) -> Mapping[str, str]:
    """Name an event's key under each rule of the flow, by the rule's name.

    PermanentError (`control_key_failed`) says which rule's key failed, and why.
    """
    keys: dict[str, str] = {}
    for rule in _KEYED:
        given = getattr(plan, rule)
        if given is None:
            continue
        program = given if rule == "ordered" else given.key
        owner = TENANT_LANE if getattr(given, "scope", "flow") == "tenant" else flow
        keys[rule] = f"{rule}:{owner}:{_evaluate(rule, program, scope)}"
    return keys


_KEYED: Final = (
    "concurrency",
    "throttle",
    "rate_limit",
    "debounce",
    "batch",
    "singleton",
    "ordered",
)


def hash_of_key(value: Any) -> str:
    """Name a JSON value; ValueError for any other."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    if len(text) > KEY_BYTES_MAX:
        raise ValueError(f"it is larger than {KEY_BYTES_MAX} bytes")
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _evaluate(rule: str, program: Program | None, scope: RunScope) -> str:
    if program is None:
        return ""
    try:
        return hash_of_key(program.run(scope))
    except EvaluationError as error:
        reason: Exception = failure_of(error, "script")
    except (GrammarError, TypeError, ValueError, RecursionError) as error:
        reason = error
    raise PermanentError(f"the key of {rule!r} failed: {reason}", reason=KEY_FAILED)
