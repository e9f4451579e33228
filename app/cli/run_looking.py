"""``run list`` and ``run show``: what runs came to, and the steps they took.

In: a tenant, a filter or a run's id. Out: runs, the latest first; one run as a timeline. Refuses
ids that cannot be one, and times that cannot be read, before anybody is asked.
"""

import os
import re
from enum import StrEnum
from typing import Annotated, Final

import typer

from actors.subjects import check_token
from app.cli.api_runs import Runs
from app.cli.history_place import DatabaseOption, find_history
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach
from app.cli.run_desk import at_runs
from app.cli.run_text import run_lines, table_lines
from app.control.kept_runs import RunFilter
from app.control.run_desk import PAGE_MAX
from app.dead_letters.moments import parse_moment
from app.errors import CommandError, NotFoundError
from app.system import SystemClock

LISTED_DEFAULT: Final = 50
PLACE_CHARS_MAX: Final = 200
ERROR_TEXT_CHARS_MIN: Final = 3
NO_RUN_HINT: Final = (
    "'greentic-events run list --tenant …' names those that ended; older ones are not kept"
)
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Status(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant, like demo.")]
FlowOption = Annotated[str | None, typer.Option("--flow", help="Only of this flow.")]
StatusOption = Annotated[Status | None, typer.Option("--status", help="Only that ended so.")]
TypeOption = Annotated[
    str | None, typer.Option("--event-type", help="Only of events of this very type.")
]
CorrelationOption = Annotated[
    str | None, typer.Option("--correlation", help="Only with this correlation id.")
]
EventOption = Annotated[str | None, typer.Option("--event", help="Only of the event with this id.")]
ParentOption = Annotated[str | None, typer.Option("--parent", help="Only that this run started.")]
CodeOption = Annotated[
    str | None, typer.Option("--code", help="Only that failed with this code, http.timeout.")
]
ErrorOption = Annotated[
    str | None,
    typer.Option("--error", help="Only with this text in the error's code or message."),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="Only ended since then: 2h ago (s, m, h, d, w), or a time."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="Only ended before then, like --since.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=PAGE_MAX, help="How many.")]
AfterOption = Annotated[
    str | None, typer.Option("--after", help="Go on after this place, as a page named it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StreamsOption = Annotated[
    bool,
    typer.Option(
        "--streams", help="Look through the streams on NATS, though there is a history of runs."
    ),
]


def check_run(run_id: str) -> str:
    """Give back what can be a run's id. CommandError."""
    if not _RUN_ID.fullmatch(run_id):
        raise CommandError(
            f"{run_id[:128]!r} is no run's id", hint="results and records carry it: run_id"
        )
    return run_id


def list_runs(
    *,
    tenant: TenantOption = "demo",
    flow: FlowOption = None,
    status: StatusOption = None,
    event_id: EventOption = None,
    event_type: TypeOption = None,
    correlation: CorrelationOption = None,
    parent: ParentOption = None,
    code: CodeOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = LISTED_DEFAULT,
    after: AfterOption = None,
    streams: StreamsOption = False,
    database_url: DatabaseOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """List runs that have ended, the latest first.

    They come from the history of runs where there is one, else from the streams, which are looked
    through: then a page may be short. Where there are more, it says with which --after the next
    page comes.
    """
    check_token(tenant, "tenant")
    since_ms, until_ms = _moments(since, until)
    which = RunFilter(
        flow=flow,
        status=None if status is None else status.value,
        event_id=event_id,
        since_ms=since_ms,
        until_ms=until_ms,
        event_type=event_type,
        correlation_id=correlation,
        parent_run_id=parent,
        error_code=code,
        error_text=_error_text(error),
    )
    place = _place(after)
    page = at_runs(
        reach,
        lambda runs: runs.page(tenant, which, after=place, limit=limit),
        history=_history(reach, database_url, streams=streams),
    )
    if as_json:
        print_json({"tenant": tenant, "runs": list(page.runs), "next_after": page.next_after})
        return
    for line in table_lines(page.runs):
        say(line)
    if not page.runs and page.next_after is None:
        such = "" if which == RunFilter() else " such"
        warn(f"{tenant} has no{such} runs that ended {reach.place}")
    if page.next_after is not None:
        warn(f"more: --after {page.next_after}")


def show_run(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    *,
    tenant: TenantOption = "demo",
    flow: Annotated[
        str | None, typer.Option("--flow", help="Its flow: then it is found faster in streams.")
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Show what steps had and gave, as far as it is kept.")
    ] = False,
    streams: StreamsOption = False,
    database_url: DatabaseOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show where a run stands; of one that has ended the steps it took, as a timeline.

    A run that has not ended waits for its time, is on its way to a worker, or is known only by
    what its journal says of it. Values can be anybody's data: --values shows them, --json always.
    """
    check_token(tenant, "tenant")
    check_run(run_id)

    async def work(runs: Runs) -> dict[str, object]:
        return await runs.show(tenant, run_id, flow)

    history = _history(reach, database_url, streams=streams)
    try:
        seen = at_runs(reach, work, history=history)
    except NotFoundError as error:
        raise CommandError(str(error), hint=NO_RUN_HINT) from None
    if as_json:
        print_json({"tenant": tenant, **seen})
        return
    for line in run_lines(seen, SystemClock().now_ms(), with_values=values):
        say(line)


def _history(reach: Reach, database_url: str | None, *, streams: bool) -> str | None:
    if reach.api() is None:
        if streams and database_url is not None:
            raise CommandError("--streams and --database-url exclude each other")
        return None if streams else find_history(reach, database_url, os.environ)
    if streams or database_url is not None:
        raise CommandError(
            "--streams and --database-url are for NATS, --url and --key are not",
            hint="the program at --url reads its own history",
        )
    return None


def _moments(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    now_ms = SystemClock().now_ms()
    try:
        return (
            None if since is None else parse_moment(since, now_ms),
            None if until is None else parse_moment(until, now_ms),
        )
    except ValueError as error:
        raise CommandError(str(error)) from None


def _place(after: str | None) -> str | None:
    if after is not None and len(after) > PLACE_CHARS_MAX:
        raise CommandError("what was given as --after is no place in a listing of runs")
    return after or None


def _error_text(text: str | None) -> str | None:
    if text is not None and not ERROR_TEXT_CHARS_MIN <= len(text) <= PLACE_CHARS_MAX:
        raise CommandError(f"--error needs {ERROR_TEXT_CHARS_MIN} to {PLACE_CHARS_MAX} characters")
    return text
