"""What to do about a run that failed: a line for the codes that have one.

In: an error's code. Out: a hint, or None. The codes are those of ``docs/flows.md``, which says what
each means; a key that ends in a dot stands for all codes that begin with it.
"""

from collections.abc import Mapping
from typing import Final

HINTS: Final[Mapping[str, str]] = {
    "script.": "'greentic-events flow run' runs the flow here, with the event as --event",
    "condition.": "'greentic-events flow run' runs the flow here, with the event as --event",
    "template.": "'greentic-events flow run' runs the flow here, with the event as --event",
    "script.busy": "scripts wait for a process: raise [worker] script_processes, or add a worker",
    "http.connect": "nothing was sent; see that the host is up and its name right",
    "http.timeout": "it may have been heard; 'retry' in the node's config tries it again",
    "http.broken": "it may have been heard; 'retry' in the node's config tries it again",
    "http.circuit_open": "the host failed five times in a row and is left alone for 30 s",
    "http.refused": "the address is one that flows may not call: see [security] egress_allow",
    "action.off": "the bundle does not enable the provider: see its answers",
    "unknown_flow": "the flow is gone from what is in force: deploy it, then replay the letter",
    "unknown_trigger": "the trigger is gone from what is in force; a replay needs one that fits",
    "version_gone": "its version is not kept any more; a replay begins on the flow in force",
    "secret.missing": "store it with 'greentic-events secret set TENANT NAME'",
    "state.conflict": "other runs keep writing the same key: 'config.concurrency' keeps them apart",
    "quota_exceeded": "'greentic-events tenant usage TENANT' shows what the tenant's plan allows",
    "timeout": "the flow's 'timeout' bounds a run, a node's 'timeout' one step",
    "steps_exceeded": "a loop has no end: 'run show' tells the last steps it took",
    "filter_failed": "'event tail TENANT --where …' tries a condition on events as they come",
    "poison": "the run ended its worker again and again: see the worker's log",
    "unavailable": "NATS did not answer: a replay of its dead letter begins it anew",
    "internal": "this is a defect: the worker's log has its traceback",
}


def hint_for(code: str) -> str | None:
    """Find the hint for a code."""
    return HINTS.get(code) or HINTS.get(f"{code.partition('.')[0]}.")
