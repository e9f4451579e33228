"""Six changes of a tenant's flows under load, on real processes; `tests.rollouts.run` does more."""

from pathlib import Path

import pytest

from tests.rollouts.run import Plan, play

pytestmark = [pytest.mark.e2e, pytest.mark.server]


async def test_nothing_is_lost_and_nothing_old_begins_while_flows_change(tmp_path: Path) -> None:
    outcome = await play(Plan(changes=6, rate=30.0, seed=3, crowd=0), tmp_path)
    assert outcome.findings == []
    assert len(outcome.changes) >= 7
    assert outcome.refused >= 1
    assert outcome.verdict.sure > 20
    assert outcome.verdict.begun > 100
    assert outcome.verdict.across >= 1
