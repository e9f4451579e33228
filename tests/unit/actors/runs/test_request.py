"""One delivery, settled by all of its runs together."""

import pytest

from actors.outcomes import Settlement
from actors.ports import Delivery
from actors.runs.request import SharedDelivery
from tests.support.builders import Yard

ACK, NAK = Settlement.ACK, Settlement.NAK


def test_a_delivery_is_acked_once_when_its_last_run_is_settled(yard: Yard) -> None:
    delivery = yard.delivered()
    share = SharedDelivery(delivery, 3)
    for expected in (None, None, ACK):
        share.settle_one(ACK)
        assert delivery.settlement is expected


@pytest.mark.parametrize("order", [(NAK, ACK, ACK), (ACK, NAK, ACK), (ACK, ACK, NAK)])
def test_one_interrupted_run_gives_the_delivery_back(
    yard: Yard, order: tuple[Settlement, ...]
) -> None:
    delivery = yard.delivered()
    share = SharedDelivery(delivery, 3)
    for settlement in order:
        share.settle_one(settlement)
    assert delivery.settlement is NAK


def test_a_run_settled_twice_over_settles_the_delivery_once(yard: Yard) -> None:
    delivery = yard.delivered()
    share = SharedDelivery(delivery, 1)
    share.settle_one(NAK)
    share.settle_one(NAK)
    assert delivery.settlement is NAK


def test_who_keeps_the_delivery_alive_hears_when_it_is_settled(yard: Yard) -> None:
    settled: list[Delivery] = []
    delivery = yard.delivered()
    share = SharedDelivery(delivery, 2, settled.append)
    share.settle_one(ACK)
    assert settled == []
    share.settle_one(ACK)
    assert settled == [delivery]
