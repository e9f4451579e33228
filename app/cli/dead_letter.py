"""``greentic-events dead-letter …``: what could not be finished, and what to do about it.

In: a tenant, letters by id or by filter. Out: letters, numbers, reports. Refuses letters that the
tenant does not have, and to change many without being told ``--yes`` where nobody can be asked.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, TypeVar

import typer

from app.cli.api_client import at_api
from app.cli.api_letters import ApiLetters, DeskLetters, Letters
from app.cli.exit_codes import FAILED, UNAVAILABLE
from app.cli.letter_desk import open_desk
from app.cli.letter_text import count_lines, letter_lines, report_lines, summary_line
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.dead_letters.desk import (
    AT_ONCE_DEFAULT,
    PAGE_MAX,
    PER_SECOND_DEFAULT,
    PER_SECOND_MAX,
    PLACE_MAX,
    Chosen,
    Effort,
)
from app.dead_letters.letters import LetterFilter, Report
from app.dead_letters.moments import parse_moment
from app.errors import CommandError, NotFoundError
from app.system import SystemClock

LISTED_DEFAULT: Final = 50
NO_LETTER_HINT: Final = "'greentic-events dead-letter list --tenant …' names those that there are"
YES_HINT: Final = "see what it would do with --dry-run, then say --yes"

T = TypeVar("T")

TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant, like demo.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FlowOption = Annotated[str | None, typer.Option("--flow", help="Only of this flow.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", help="Only with this reason, like http.timeout.")
]
TypeOption = Annotated[
    str | None, typer.Option("--event-type", help="Only of events of this very type.")
]
EventOption = Annotated[str | None, typer.Option("--event-id", help="Only of this event.")]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="Only failed since then: 2h ago (s, m, h, d, w), or a time."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="Only failed before then, like --since.")
]
LettersArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[LETTER]…", help="Letters by id, as listed.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
AllOption = Annotated[bool, typer.Option("--all", help="Take all that match, however many.")]
LimitOption = Annotated[
    int, typer.Option("--limit", min=1, help="Take at most so many, the oldest first.")
]


def dead_letter_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(
        help="See what could not be finished; replay or discard it.", no_args_is_help=True
    )
    app.command("list")(reaching(list_letters))
    app.command("show")(reaching(show))
    app.command("replay")(reaching(replay))
    app.command("discard")(reaching(discard))
    app.command("stat")(reaching(stat))
    return app


@dataclass(frozen=True, slots=True)
class _Place:
    """Which desk, and whose letters."""

    tenant: str
    reach: Reach

    def at_desk(self, work: Callable[[Letters], Awaitable[T]]) -> T:
        """Do some work with letters."""
        if (api := self.reach.api()) is not None:
            return at_api(api, lambda client: work(ApiLetters(client)))
        settings, env = self.reach.bus(), self.reach.bus_env

        async def run() -> T:
            async with open_desk(settings, env) as changes:
                return await work(DeskLetters(changes))

        return asyncio.run(run())


def list_letters(
    *,
    tenant: TenantOption = "demo",
    flow: FlowOption = None,
    reason: ReasonOption = None,
    event_type: TypeOption = None,
    event_id: EventOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=PAGE_MAX, help="How many.")
    ] = LISTED_DEFAULT,
    after: Annotated[
        int | None,
        typer.Option("--after", min=0, max=PLACE_MAX, help="Go on after this place."),
    ] = None,
    oldest: Annotated[bool, typer.Option("--oldest-first", help="Not the newest first.")] = False,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """List a tenant's dead letters, the newest first, without their payloads.

    Where there are more, it says with which --after the next page comes.
    """
    place = _Place(tenant, reach)
    which = _filter(flow, reason, event_type, event_id, (since, until))
    order: Any = "oldest" if oldest else "newest"
    page = place.at_desk(
        lambda letters: letters.list(tenant, which, order=order, after=after, limit=limit)
    )
    if as_json:
        letters = list(page.letters)
        print_json({"tenant": tenant, "letters": letters, "next_after": page.next_after})
        return
    for kept in page.letters:
        say(summary_line(kept))
    if not page.letters and page.next_after is None:
        warn(f"{tenant} has no{'' if which.is_empty else ' such'} dead letters {reach.place}")
    if page.next_after is not None:
        warn(f"there are more: --after {page.next_after}")


def show(
    letter: Annotated[str, typer.Argument(help="Its id, as listed.")],
    *,
    tenant: TenantOption = "demo",
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter whole: why it is here, how far its run got, and its event."""
    try:
        kept = _Place(tenant, reach).at_desk(lambda letters: letters.show(tenant, letter))
    except NotFoundError as error:
        raise CommandError(str(error), hint=NO_LETTER_HINT) from None
    if as_json:
        print_json(kept)
        return
    for line in letter_lines(kept):
        say(line)


def replay(
    letters: LettersArgument = None,
    *,
    tenant: TenantOption = "demo",
    flow: FlowOption = None,
    reason: ReasonOption = None,
    event_type: TypeOption = None,
    event_id: EventOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = AT_ONCE_DEFAULT,
    everything: AllOption = False,
    rate: Annotated[
        float,
        typer.Option("--rate", min=0.01, max=PER_SECOND_MAX, help="Runs started a second."),
    ] = PER_SECOND_DEFAULT,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Start the runs of dead letters anew, from their beginning, on the flows now in force.

    Steps that had succeeded before are done again: a replay is a run of its own. A letter whose
    run is started is gone; if that run fails, there is a new one.
    """
    place = _Place(tenant, reach)
    chosen = _chosen(letters, _filter(flow, reason, event_type, event_id, (since, until)))
    effort = Effort(None if everything else limit, rate, dry_run)

    async def work(desk: Letters) -> Report | None:
        if not letters and not await _is_wanted(desk.redrive, place, chosen, effort, yes):
            return None
        return await desk.redrive(tenant, chosen, effort, _tell)

    _finish(place.at_desk(work), "replayed", place, as_json=as_json)


def discard(
    letters: LettersArgument = None,
    *,
    tenant: TenantOption = "demo",
    flow: FlowOption = None,
    reason: ReasonOption = None,
    event_type: TypeOption = None,
    event_id: EventOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = AT_ONCE_DEFAULT,
    everything: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters for good. Their events stay in the tenant's stream for its own time."""
    place = _Place(tenant, reach)
    chosen = _chosen(letters, _filter(flow, reason, event_type, event_id, (since, until)))
    effort = Effort(None if everything else limit, None, dry_run)

    async def work(desk: Letters) -> Report | None:
        if not await _is_wanted(desk.discard, place, chosen, effort, yes):
            return None
        return await desk.discard(tenant, chosen, effort, _tell)

    _finish(place.at_desk(work), "discarded", place, as_json=as_json)


def stat(
    *,
    tenant: TenantOption = "demo",
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Count a tenant's dead letters by flow and reason."""
    counts = _Place(tenant, reach).at_desk(lambda letters: letters.count(tenant))
    if not as_json:
        for line in count_lines(counts):
            say(line)
        return
    groups = [
        {"flow": flow, "reason": reason, "letters": number}
        for (flow, reason), number in counts.by_flow_and_reason.items()
    ]
    print_json(
        {
            "tenant": tenant,
            "total": counts.total,
            "complete": counts.is_complete,
            "by_flow_and_reason": groups,
        }
    )


# ── Choosing, asking, telling ────────────────────────────────────────────────────────────────


def _filter(
    flow: str | None,
    reason: str | None,
    event_type: str | None,
    event_id: str | None,
    times: tuple[str | None, str | None],
) -> LetterFilter:
    now_ms = SystemClock().now_ms()
    try:
        since, until = (None if text is None else parse_moment(text, now_ms) for text in times)
    except ValueError as error:
        raise CommandError(str(error)) from None
    return LetterFilter(flow, reason, event_type, event_id, since, until)


def _chosen(letters: list[str] | None, which: LetterFilter) -> Chosen:
    if not letters:
        return which
    if not which.is_empty:
        raise CommandError("name letters, or choose them by options: not both")
    return letters


async def _is_wanted(
    act: Callable[[str, Chosen, Effort], Awaitable[Report]],
    place: _Place,
    chosen: Chosen,
    effort: Effort,
    yes: bool,
) -> bool:
    """Ask before many letters, or any for good, are changed."""
    if yes or effort.is_dry_run:
        return True
    if not sys.stdin.isatty():
        raise CommandError("this changes letters, and nobody can be asked here", hint=YES_HINT)
    would = await act(place.tenant, chosen, replace(effort, is_dry_run=True))
    verb = "replay" if effort.per_second is not None else "discard for good"
    question = f"{verb} {would.done} dead letters of {place.tenant} {place.reach.place}?"
    return bool(would.done and typer.confirm(question, err=True))


def _tell(report: Report) -> None:
    if sys.stderr.isatty():
        warn(f"{report.done} of {report.chosen} so far", style="dim")


def _finish(report: Report | None, verb: str, place: _Place, *, as_json: bool) -> None:
    if report is None:
        warn("nothing was done")
        return
    if as_json:
        print_json({"tenant": place.tenant, "env": place.reach.env_name, **report.as_document()})
    else:
        for line in report_lines(report, verb):
            say(line)
    if report.stopped is not None:
        raise typer.Exit(UNAVAILABLE)
    if report.failed:
        raise typer.Exit(FAILED)
