"""``greentic-events tenant usage``: what a tenant has used of its plan.

In: a tenant, an API key that may read it, the admin address of a running program. Out: its limits
and what it has used of them in that process, for people or as JSON. Refuses what the API refuses,
in the API's words.
"""

from typing import Annotated, Any, Final

import typer

from app.cli.api_client import at_api, below
from app.cli.output import print_json, say
from app.cli.reach import InsecureOption, KeyFileOption, KeyOption, Reach, UrlOption

_ROWS: Final = (
    ("events taken in", "events", "events_per_second", "a second"),
    ("events refused", "events_refused", None, ""),
    ("calls, actions, emitted events", "effects", "effects_per_minute", "a minute"),
    ("of them put off", "effects_put_off", None, ""),
    ("script operations", "script_operations", "script_operations_per_second", "a second"),
    ("runs that wait now", "concurrent_runs", "concurrent_runs", "at once"),
    ("bytes of events and results", "stored_bytes", "stored_bytes", "stored"),
)
"""What is shown: its text, its name among what was used, its limit, and what that counts."""


def usage_command(
    tenant: Annotated[str, typer.Argument(help="The tenant, like demo.")],
    *,
    url: UrlOption = None,
    key: KeyOption = None,
    key_file: KeyFileOption = None,
    insecure: InsecureOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a tenant has used of its plan, in the process that is asked."""
    api = Reach(url=url, key=key, key_file=key_file, insecure=insecure).surely_api()
    document = at_api(api, lambda client: client.get(below("tenants", tenant, "usage")))
    if as_json:
        print_json(document)
        return
    for line in usage_lines(document):
        say(line)


def usage_lines(document: dict[str, Any]) -> list[str]:
    """Write usage for people."""
    used, limits = document["used"], document["limits"]
    lines = [f"tenant {document['tenant']}, plan {document['plan']}, weight {limits['weight']:g}"]
    for text, name, limit, unit in _ROWS:
        most = None if limit is None else limits[limit]
        allowed = "" if most is None else f"  (at most {most:,.15g} {unit})"
        lines.append(f"  {text:<32}{used[name]:>14,}{allowed}")
    takers, workers = document["divided"]["takers"], document["divided"]["workers"]
    if max(takers, workers) > 1:
        lines.append(f"  rates are shared: events by {takers} processes, the rest by {workers}")
    return lines
