"""The faults of a cluster in less than a minute: the leader of the events is killed under load.

`python -m tests.faults.run --only cluster` strikes every leader in every way.
"""

from pathlib import Path

import pytest

from tests.faults.replicas import CLUSTER
from tests.faults.report import render_text
from tests.faults.run import Plan, run_fault

SEED = 7

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.server,
    pytest.mark.xdist_group("nats-cluster"),
]


async def test_promises_hold_while_a_leader_is_killed(tmp_path: Path) -> None:
    row = await run_fault(CLUSTER, 1, Plan(SEED, rate=8, workers=2), tmp_path)
    if row.skipped is not None:
        pytest.skip(row.skipped)
    print(render_text([row], SEED))
    assert row.findings == []
    assert row.injected == {"servers killed": 1}
    assert row.figures.events > 20
    assert row.figures.effects > 20
