"""What stands in a run's journal: steps' outcomes, and marks that are no step's.

In: outcomes. Out: JSON documents, and outcomes again; `actors.runs.journal` says what follows from
them. Refuses nothing: it reads what it wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from actors.nodes.state_write import StateWrite
from actors.outcomes import Advance, CallFlow, RunError, Sleep, StepOutcome

# No node's id looks like one of these.

CANCEL: Final = "!cancel"
"""In place of a step: somebody wants the run ended."""

END: Final = "!end"
"""In place of a step: the run has failed in a way that another walk might not come to."""

FIRST: Final = "!first"
"""In place of the step that the first entry is of, which stands in the entry. Two walks that took
different ways before their first entries cannot both be first."""

PAUSE: Final = "!pause:"
"""Before the name of the entry that was last: the run was put off, and what it intended is done."""

COPY: Final = "@"
"""Before the number of the leg that copied an entry to keep it longer."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the run began with."""

    now_ms: int
    version: str
    trigger: int | None

    def as_document(self) -> dict[str, Any]:
        """Give it as the first entry carries it."""
        return {"now_ms": self.now_ms, "version": self.version, "trigger": self.trigger}


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a step came to when it was taken first."""

    outcome: StepOutcome | RunError
    writes: tuple[StateWrite, ...]
    race: int
    is_last: bool
    """Nothing came after it, so its writes may not have been applied."""
    operations: int = 0
    """What its scripts were charged."""


def encode_outcome(outcome: StepOutcome | RunError) -> dict[str, Any]:
    """Write what a step came to; `decode_outcome` is the inverse, but for a failure's node."""
    match outcome:
        case Advance():
            document: dict[str, Any] = {"kind": "advance", "value": outcome.value}
            if outcome.goto is not None:
                document["goto"] = outcome.goto
            if not outcome.binds:
                document["binds"] = False
            return document
        case CallFlow():
            return {
                "kind": "call",
                "flow": outcome.flow,
                "payload": outcome.payload,
                "passes_context": outcome.passes_context,
            }
        case Sleep():
            return {"kind": "sleep", "due_ms": outcome.due_ms}
        case RunError():
            return {"kind": "failed", "code": outcome.code, "message": outcome.message}


def decode_outcome(document: Mapping[str, Any]) -> StepOutcome | RunError:
    """Read what a step came to."""
    match document["kind"]:
        case "advance":
            return Advance(document["value"], document.get("goto"), document.get("binds", True))
        case "call":
            return CallFlow(document["flow"], document["payload"], document["passes_context"])
        case "sleep":
            return Sleep(document["due_ms"])
        case _:
            return RunError(document["code"], None, document["message"])
