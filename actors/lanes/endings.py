"""How a run that was handed out has ended, as far as it was heard.

In: what its executor said of the delivery, and its outcome. Out: whether that is all, and what is
said of a run that outlives its lane.
"""

from actors.lanes.hand import Hand
from actors.outcomes import Continued, Settlement


def is_interrupted(settlement: Settlement) -> bool:
    """Tell whether the run is to be repeated by somebody."""
    return settlement in (Settlement.NAK, Settlement.LEAVE)


def is_heard(hand: Hand) -> bool:
    """Tell whether the run has ended. An executor says both, first what becomes of the delivery."""
    return hand.is_out and hand.settlement is not None


def end_without_lane(hand: Hand) -> None:
    """Settle a run whose lane has stopped before it.

    One that only fell asleep and has its key to keep comes again, to whoever has the lane then.
    """
    if not is_heard(hand) or hand.settlement is None:
        return
    if is_interrupted(hand.settlement):
        hand.settle(hand.settlement)
    elif isinstance(hand.outcome, Continued):
        hand.settle_past(Settlement.ACK, keep_first=hand.ticket.keeps_key)
        hand.settle(Settlement.NAK)
    elif hand.outcome is not None:
        hand.settle(Settlement.ACK)
