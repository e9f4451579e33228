"""The story of metering in short: it is killed, the server too, and no unit is lost or doubled."""

import pytest

from tests.metering.story import Plan, tell
from tests.support.nats_server import KillableServer

pytestmark = pytest.mark.server


async def test_windows_are_what_a_recount_says(killable_server: KillableServer) -> None:
    plan = Plan(records=2000, kills=2, server_kills=1, freezes=0)
    report = await tell(killable_server, plan)
    assert report.wrong == []
    assert report.repeated > 30
    assert report.runs == report.records - report.repeated
    assert (report.kills, report.server_kills) == (1, 1)
