"""The fault suite in less than a minute: a little of everything, at moments that a seed chose.

`make test-faults` does it at length; docs/faults.md says what is checked.
"""

from pathlib import Path

import pytest

from tests.faults.catalogue import SHORT
from tests.faults.report import render_text
from tests.faults.run import Plan, run_fault

SEED = 5

pytestmark = [pytest.mark.e2e, pytest.mark.server]


async def test_promises_hold_while_workers_and_the_server_are_killed(tmp_path: Path) -> None:
    row = await run_fault(SHORT, 1, Plan(SEED, rate=8, workers=2), tmp_path)
    print(render_text([row], SEED))
    assert row.skipped is None
    assert row.findings == []
    assert row.injected["worker kills"] >= 1
    assert row.injected["server kills"] == 1
    assert row.figures.events > 20
    assert row.figures.effects > 20
