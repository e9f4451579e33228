"""Redriving: the run that a dead letter becomes.

In: a letter. Out: the continuation that starts its run anew, from the beginning, on the flow in
force then; None for what cannot be redriven: a message that was no event, or an event too large to
have been kept.

The run's id is made of the event, the flow and the letter: fresh, so that the failed run's journal
and result are not taken for its own, and the same however often one letter is redriven.
"""

from actors.ids import run_id
from actors.ports import Continuation, DeadLetter


def redriven(letter: DeadLetter) -> Continuation | None:
    """Give the continuation to schedule in the place of a letter."""
    if letter.event is None or letter.flow is None:
        return None
    return Continuation(
        run_id=run_id(letter.event.id, letter.flow, letter.letter_id),
        flow=letter.flow,
        event=letter.event,
        parent_run_id=letter.parent_run_id,
        hops=letter.hops,
        trigger=letter.trigger,
        events=letter.events,
    )
