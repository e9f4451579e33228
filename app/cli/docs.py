"""``greentic-events docs``: the reference pages that are made of the code itself.

In: a folder. Out: ``api-operations.md``, ``configuration.md``, ``errors.md``, ``language.md``,
``metrics.md`` and ``node-types.md`` in it; with ``--check`` nothing is written, and the exit code
is 1 if a page is not what it would be. Refuses a folder that does not exist: it writes beside pages
that people wrote.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.docs_api import operations_page
from app.cli.docs_language import language_page
from app.cli.docs_nodes import node_types_page
from app.cli.docs_reference import configuration_page, errors_page, metrics_page
from app.cli.output import print_json, say
from app.errors import CommandError

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "api-operations.md": operations_page,
    "configuration.md": configuration_page,
    "errors.md": errors_page,
    "language.md": language_page,
    "metrics.md": metrics_page,
    "node-types.md": node_types_page,
}
"""File name to what makes its text. The texts depend on nothing but the code."""


def docs_command(
    *,
    output: Annotated[Path, typer.Option("--output", help="The folder of the pages.")] = Path(
        "docs"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a page is stale.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write the reference pages that are made of the code."""
    if not output.is_dir():
        raise CommandError(f"there is no folder {output}", hint="name it with --output")
    stale = stale_pages(output)
    if check and stale:
        raise CommandError(f"{', '.join(stale)} in {output}: not fresh", hint="run make docs")
    for name, text in stale.items():
        (output / name).write_text(text, encoding="utf-8")
    if as_json:
        print_json({"folder": str(output), "pages": sorted(PAGES), "written": sorted(stale)})
        return
    for name in stale:
        say(f"  {output / name}")


def stale_pages(folder: Path) -> dict[str, str]:
    """Give the pages whose file is absent or says something else, with the right text."""
    stale = {}
    for name, make in PAGES.items():
        path, text = folder / name, make()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale[name] = text
    return stale
