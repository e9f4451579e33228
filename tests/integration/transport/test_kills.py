"""The short form of ``python -m tests.transport.run``: a worker of each group is killed, once."""

from tests.transport.run import run


async def test_a_killed_worker_loses_nothing_and_its_table_is_recovered_exactly() -> None:
    outcome = await run(kills=1, messages=600, rate=400, are_replaced=False)
    assert outcome.is_good, outcome
    assert outcome.passed_on == 600
