"""Runs whose record was stored twice count once, whoever begins to count, and wherever."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bus.direct import StoredMessage
from app.history.metering.records import CountedRun, runs_of
from app.history.metering.repeats import RecentRuns, ShardMemory, name_of
from tests.support.usage_records import PagesInMemory, a_message, a_record


def messages(ids: Sequence[Sequence[str]], sequences: Sequence[int] = ()) -> list[StoredMessage]:
    places = sequences or range(1, len(ids) + 1)
    return [
        a_message(place, [a_record(one) for one in mine])
        for place, mine in zip(places, ids, strict=True)
    ]


def runs_in(message: StoredMessage) -> list[CountedRun]:
    return list(runs_of(message.subject, message.data))


async def kept(memory: ShardMemory, message: StoredMessage) -> list[str]:
    await memory.prepare(message.sequence)
    return [run.run_id for run in memory.take(message.sequence, runs_in(message))]


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 8))
def test_a_run_is_a_repeat_if_it_is_among_so_many_records_before(
    ids: list[str], runs_max: int
) -> None:
    recent = RecentRuns(runs_max)
    for index, each in enumerate(ids):
        is_repeat = each in ids[max(0, index - runs_max) : index]
        assert recent.take(each.encode()) is not is_repeat
        assert len(recent) == min(index + 1, runs_max)


def test_equal_ids_of_two_tenants_and_of_two_flows_are_different_runs() -> None:
    records = [
        a_record("r"),
        a_record("r", tenant="other"),
        a_record("r", flow="b"),
        a_record("r", flow="a/b"),
    ]
    names = [name_of(run) for one in records for run in runs_in(a_message(1, [one]))]
    assert len(set(names)) == len(records)


@given(
    st.lists(
        st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4), min_size=1, max_size=15
    ),
    st.integers(1, 10),
    st.integers(),
)
def test_what_is_a_repeat_does_not_depend_on_who_begins_where(
    ids: list[list[str]], runs_max: int, seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 - a story told again by its seed
    sequences = sorted(chance.sample(range(1, 100), len(ids)))
    stored = messages(ids, sequences)

    async def story() -> None:
        pages = PagesInMemory(stored)
        whole = ShardMemory(pages, runs_max)
        expected = [await kept(whole, each) for each in stored]
        wandering = ShardMemory(pages, runs_max)
        for _ in range(30):
            at = chance.randrange(len(stored))
            for number in range(at, min(at + chance.randrange(4), len(stored))):
                assert await kept(wandering, stored[number]) == expected[number]
            if chance.random() < 0.2:
                wandering = ShardMemory(pages, runs_max)

    asyncio.run(story())


async def test_messages_in_a_row_need_no_reading() -> None:
    pages = PagesInMemory(messages([["a"], ["b"], ["a"], ["c"]]))
    memory = ShardMemory(pages, 10)
    assert [await kept(memory, each) for each in pages.messages] == [["a"], ["b"], [], ["c"]]
    assert pages.reads == 1


async def test_what_others_counted_meanwhile_is_caught_up_with() -> None:
    stored = messages([["a"], ["b"], ["c"], ["b", "d"]])
    pages = PagesInMemory(stored)
    memory = ShardMemory(pages, 10)
    assert await kept(memory, stored[0]) == ["a"]
    assert await kept(memory, stored[3]) == ["d"]
    assert pages.reads == 2


async def test_a_memory_whose_filling_failed_is_filled_anew() -> None:
    class Failing(PagesInMemory):
        fails = False

        async def oldest_first(self, after: int) -> AsyncIterator[Sequence[StoredMessage]]:
            if self.fails:
                raise OSError("away")
            async for each in super().oldest_first(after):
                yield each

    stored = messages([["a"], ["b"], ["b"]])
    pages = Failing(stored)
    memory = ShardMemory(pages, 10)
    assert await kept(memory, stored[0]) == ["a"]
    pages.fails = True
    with pytest.raises(OSError, match="away"):
        await memory.prepare(3)
    assert await kept(memory, stored[2]) == []
