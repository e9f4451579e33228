"""What is between the pull and the acknowledgement: offsets, repetitions, what goes back."""

from typing import Any

from faust.types import TP
from nats.aio.msg import Msg

from app.history.transport.acknowledging import pause_after
from app.history.transport.in_flight import KEPT_SECONDS_MAX, Entry, InFlight
from app.history.transport.wire import Record, read_record, to_message

T = TP("t", 0)


def record(sequence: int, delivered: int = 1) -> Record:
    client: Any = None
    reply = f"$JS.ACK.S.C.{delivered}.{sequence}.{sequence}.0.0"
    found = read_record(Msg(client, subject="s", reply=reply, data=b""))
    assert found is not None
    return found


def handed_on(flight: InFlight, sequence: int, *, is_begun: bool, is_acked: bool = False) -> Entry:
    one = record(sequence)
    entry = flight.add(T, one, 0.0)
    assert entry is not None
    entry.message = to_message(T, entry.offset, one, generation=1, now=0.0)
    entry.message.tracked, entry.message.acked = is_begun, is_acked
    return entry


def test_offsets_are_dense_and_never_used_again() -> None:
    flight = InFlight()
    assert [handed_on(flight, sequence, is_begun=True).offset for sequence in (5, 90, 17)] == [
        1,
        2,
        3,
    ]
    flight.drop(T)
    assert handed_on(flight, 5, is_begun=True).offset == 4
    assert flight.settle(T, [1, 2, 3]) == []
    assert len(flight) == 1


def test_a_repetition_takes_over_the_reply_and_is_not_handed_on() -> None:
    flight = InFlight()
    entry = handed_on(flight, 5, is_begun=True)
    again = record(5, delivered=2)
    assert flight.add(T, again, 1.0) is None
    assert entry.record is again
    assert [one.record.delivered for one in flight.settle(T, [entry.offset])] == [2]
    assert len(flight) == 0


def test_what_waits_goes_back_stale_and_what_is_begun_stays() -> None:
    flight = InFlight()
    begun = handed_on(flight, 1, is_begun=True)
    waiting = handed_on(flight, 2, is_begun=False)
    assert flight.give_up(T, only_waiting=True) == [waiting]
    assert waiting.message is not None
    assert waiting.message.generation_id == -1
    assert flight.begun() == [begun]


def test_a_failure_gives_back_what_is_begun_and_not_what_is_acknowledged() -> None:
    flight = InFlight()
    begun = handed_on(flight, 1, is_begun=True)
    waiting = handed_on(flight, 2, is_begun=False)
    acked = handed_on(flight, 3, is_begun=True, is_acked=True)
    assert flight.give_up_begun(T) == [begun]
    assert flight.settle(T, [1, 3]) == [acked]
    assert flight.drop(T) == [waiting]


def test_all_is_kept_alive_in_turn_and_not_for_ever() -> None:
    flight = InFlight()
    entry = handed_on(flight, 1, is_begun=True)
    assert flight.due(T, 5.0, 10.0) == []
    assert flight.due(T, 10.0, 10.0) == [entry]
    assert flight.due(T, 11.0, 10.0) == []
    assert flight.due(T, KEPT_SECONDS_MAX + 1, 10.0) == []


def test_what_fails_often_stays_away_longer_up_to_a_limit() -> None:
    assert [pause_after(failures) for failures in (0, 1, 2, 3, 50)] == [0.5, 0.5, 1.0, 2.0, 30.0]
