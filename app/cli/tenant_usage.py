"""``greentic-events tenant usage``: what a tenant has used of its plan.

In: a tenant, an API key that may read it, the admin address of a running program. Out: its limits
and what it has used of them in that process, for people or as JSON. Refuses what the API refuses,
in the API's words.
"""

from typing import Annotated, Any, Final
from urllib.parse import quote

import httpx
import typer

from actors.errors import UnavailableError
from app.cli.output import print_json, say
from app.errors import CommandError

ADMIN_DEFAULT: Final = "http://127.0.0.1:8081"
ANSWER_SECONDS: Final = 10.0
_ERRORS_FROM: Final = 400

_ROWS: Final = (
    ("events taken in", "events", "events_per_second", "a second"),
    ("events refused", "events_refused", None, ""),
    ("calls, actions, emitted events", "effects", "effects_per_minute", "a minute"),
    ("of them put off", "effects_put_off", None, ""),
    ("script operations", "script_operations", "script_operations_per_second", "a second"),
    ("runs that wait now", "concurrent_runs", "concurrent_runs", "at once"),
)
"""What is shown: its text, its name among what was used, its limit, and what that counts."""


def usage_command(
    tenant: Annotated[str, typer.Argument(help="The tenant, like demo.")],
    *,
    key: Annotated[
        str,
        typer.Option("--key", envvar="GREENTIC_API_KEY", help="An API key that may read it."),
    ],
    url: Annotated[
        str, typer.Option("--url", help="The admin address of a running program.")
    ] = ADMIN_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a tenant has used of its plan, in the process that is asked."""
    document = read_usage(url, key, tenant)
    if as_json:
        print_json(document)
        return
    for line in usage_lines(document):
        say(line)


def read_usage(url: str, key: str, tenant: str) -> dict[str, Any]:
    """Ask the program. UnavailableError: nobody answers; CommandError: it refuses."""
    address = f"{url.rstrip('/')}/api/v1/tenants/{quote(tenant, safe='')}/usage"
    headers = {"authorization": f"Bearer {key}"}
    try:
        with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = client.get(address, headers=headers)
        document = answer.json()
    except httpx.HTTPError as error:
        raise UnavailableError(f"{url} does not answer ({type(error).__name__})") from error
    except ValueError:
        raise UnavailableError(f"at {url} is another program") from None
    if answer.status_code >= _ERRORS_FROM or not isinstance(document, dict):
        detail = document.get("detail") if isinstance(document, dict) else None
        raise CommandError(str(detail or f"the program answered {answer.status_code}"))
    return document


def usage_lines(document: dict[str, Any]) -> list[str]:
    """Write usage for people."""
    used, limits = document["used"], document["limits"]
    lines = [f"tenant {document['tenant']}, plan {document['plan']}, weight {limits['weight']:g}"]
    for text, name, limit, unit in _ROWS:
        most = None if limit is None else limits[limit]
        allowed = "" if most is None else f"  (at most {most:g} {unit})"
        lines.append(f"  {text:<32}{used[name]:>14,}{allowed}")
    return lines
