"""From which sequence on each trigger takes events: its activation.

In: a tenant's triggers and the end of its stream. Out: a sequence for each trigger, remembered in
the tenant's deployment (`app.deployments.document`). A consumer whose filter grows may deliver
events stored just before the change (measured); the router acks those at or below a trigger's
activation unseen.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Activation:
    """A trigger takes events after ``sequence`` that match ``pattern``."""

    pattern: str
    sequence: int


def next_activations(
    before: Mapping[str, Activation], patterns: Mapping[str, str], last_sequence: int
) -> dict[str, Activation]:
    """Carry activations over to a new set of triggers.

    A remembered sequence beyond the stream's end means that the stream was made anew: keeping it
    would make the trigger deaf to everything up to it.
    """
    after = {}
    for trigger, pattern in patterns.items():
        known = before.get(trigger)
        is_kept = known is not None and known.pattern == pattern
        sequence = min(known.sequence, last_sequence) if known and is_kept else last_sequence
        after[trigger] = Activation(pattern, sequence)
    return after
