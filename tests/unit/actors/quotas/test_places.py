"""Places for runs: bounded, first come first served, never lost."""

import asyncio

from actors.quotas.places import Places


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_without_a_limit_places_are_only_counted() -> None:
    places = Places()
    for _ in range(100):
        await places.take()
    assert places.taken == 100
    assert not places.is_full


async def test_who_waited_first_is_first() -> None:
    places = Places(1)
    await places.take()
    order: list[int] = []

    async def run(number: int) -> None:
        await places.take()
        order.append(number)
        await asyncio.sleep(0)
        places.give_back()

    tasks = [asyncio.create_task(run(number)) for number in range(4)]
    await settle()
    assert places.is_full
    assert order == []
    places.give_back()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3]
    assert places.taken == 0


async def test_nobody_overtakes_those_who_wait() -> None:
    places = Places(1)
    await places.take()
    waiting = asyncio.create_task(places.take())
    await settle()
    places.give_back()
    late = asyncio.create_task(places.take())
    await settle()
    assert waiting.done()
    assert not late.done()
    late.cancel()


async def test_who_gives_up_takes_no_place() -> None:
    places = Places(1)
    await places.take()
    gone, given_at_once = (asyncio.create_task(places.take()) for _ in range(2))
    await settle()
    gone.cancel()
    await settle()
    places.give_back()  # to the second
    given_at_once.cancel()  # in the same moment
    await settle()
    assert places.taken == 0


async def test_a_higher_limit_lets_more_go_on() -> None:
    places = Places(1)
    tasks = [asyncio.create_task(places.take()) for _ in range(5)]
    await settle()
    assert places.taken == 1
    places.change(3)
    await settle()
    assert places.taken == 3
    places.change(None)
    await settle()
    assert all(task.done() for task in tasks)
    places.change(2)
    assert places.is_full
