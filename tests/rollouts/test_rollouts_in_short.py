"""Some applies and rollbacks under load on real processes; the long form is `tests.rollouts.run`."""

from pathlib import Path

import pytest

from tests.rollouts.run import Plan, play


@pytest.mark.e2e
@pytest.mark.server
async def test_nothing_is_lost_while_flows_change(tmp_path: Path) -> None:
    record, seen, findings = await play(Plan(changes=8, rate=40.0, seed=4), tmp_path)
    assert findings == []
    assert len(record.changes) == 9
    assert record.sent
    assert len({one.version for one in seen}) > 2
