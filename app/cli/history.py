"""``greentic-events history …``: the database of ended runs.

In: a server, an env, a database. Out: how far it is behind and how much it has; or the history
built anew from the streams. Refuses (CommandError) where there is no database to be found.
"""

import asyncio
import os
from typing import Annotated, Any

import typer

from app.cli.api_client import moment_text
from app.cli.history_place import DatabaseOption, find_history
from app.cli.history_work import HistoryStatus, rebuild_history, status_of_history
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach, reaching
from app.errors import CommandError
from app.history.projection.claim import shown_url
from app.history.projection.rebuilding import Progress

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def history_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Look after the database of ended runs.", no_args_is_help=True)
    app.command("status")(reaching(status))
    app.command("rebuild")(reaching(rebuild))
    return app


def status(
    *,
    database_url: DatabaseOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Tell how much the history has, and how far it is behind the streams."""
    url = _database(reach, database_url)
    found = asyncio.run(status_of_history(url, reach.bus(), reach.bus_env))
    if as_json:
        print_json(_document(url, found))
        return
    say(f"database  {shown_url(url)}")
    facts = found.facts
    if facts.oldest_ms is None:
        say("runs      none yet")
    else:
        oldest, latest = moment_text(facts.oldest_ms), moment_text(facts.latest_ms)
        say(f"runs      {facts.runs}, ended {oldest} to {latest}")
    for lag in found.lags:
        if not lag.is_begun:
            say(f"{lag.stream}  not begun: no process with the history role has read it yet")
        elif lag.messages:
            say(f"{lag.stream}  {lag.records} records behind, the oldest {lag.seconds:.1f} s old")
        else:
            say(f"{lag.stream}  nothing behind")


def rebuild(
    *,
    drop_older: Annotated[
        bool,
        typer.Option("--drop-older", help="Also if runs are lost that the streams no longer have."),
    ] = False,
    database_url: DatabaseOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Empty the history and fill it again from the streams.

    A database in a file must not be in use by a process with the history role; with PostgreSQL they
    may go on.
    """
    url = _database(reach, database_url)
    tell = _say_nothing if as_json else _tell
    done = asyncio.run(
        rebuild_history(url, reach.bus(), reach.bus_env, tell, drops_older=drop_older)
    )
    if as_json:
        print_json({"database": shown_url(url), **done.as_mapping()})
        return
    say(f"{done.runs} runs of {done.records} records in {done.seconds:.1f} s")
    if done.malformed:
        warn(f"{done.malformed} records are malformed and were left out")


def _database(reach: Reach, database_url: str | None) -> str:
    if reach.url is not None or reach.names_key:
        raise CommandError("the history is looked after at its database, not through the API")
    url = find_history(reach, database_url, os.environ)
    if url is None:
        hint = "name its data folder with --data BUNDLE/.greentic, or set GREENTIC_DATABASE_URL"
        raise CommandError("there is no history to be found", hint=hint)
    return url


def _document(url: str, found: HistoryStatus) -> dict[str, Any]:
    return {
        "database": shown_url(url),
        "runs": found.facts.runs,
        "oldest_ms": found.facts.oldest_ms,
        "latest_ms": found.facts.latest_ms,
        "records_behind": sum(lag.records for lag in found.lags),
        "seconds_behind": round(max((lag.seconds for lag in found.lags), default=0.0), 3),
        "streams": [lag.as_mapping() for lag in found.lags],
    }


def _tell(progress: Progress) -> None:
    of_all = f"{progress.messages} of {progress.messages_max} messages"
    warn(f"  {of_all}, {progress.runs} runs")


def _say_nothing(_: Progress) -> None:
    """Tell nothing: the result is one document."""
