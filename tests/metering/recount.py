"""Usage counted afresh, from the records alone.

In: the messages of a shard. Out: its windows. Refuses nothing; UnavailableError when nobody
answers. This is what the table has to agree with, to the unit: it shares with it what a record
says and when one is a repeat, and nothing of how windows are kept.
"""

from collections.abc import Callable

from app.history.metering.records import runs_of
from app.history.metering.repeats import RUNS_REMEMBERED, Pages, RecentRuns, name_of
from app.history.metering.usage import Usage
from app.history.metering.windows import WindowPlace, place_of


def nobody(_: str) -> bool:
    """Tell of no tenant that it is gone."""
    return False


async def recount(
    pages: Pages, runs_max: int = RUNS_REMEMBERED, is_gone: Callable[[str], bool] = nobody
) -> dict[WindowPlace, Usage]:
    """Count all messages of a shard, from its first one on."""
    recent = RecentRuns(runs_max)
    windows: dict[WindowPlace, Usage] = {}
    async for messages in pages.oldest_first(0):
        for message in messages:
            for run in runs_of(message.subject, message.data):
                if recent.take(name_of(run)) and not is_gone(run.tenant):
                    windows.setdefault(place_of(run), Usage()).count(run)
    return windows
