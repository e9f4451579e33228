"""``greentic-events init``: a small bundle that works, to be changed by its owner.

In: a folder and the name of a template. Out: the template's files in it. Refuses to write over
anything that exists.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Final

import typer

from actors.diagnostics import did_you_mean
from app.cli.output import print_json, say
from app.errors import CommandError

TEMPLATE_DEFAULT: Final = "orders"
_PACKAGE: Final = "app.cli"


def init_command(
    folder: Annotated[Path, typer.Argument(help="Where to write it.", metavar="[DIR]")] = Path(
        "my-bundle"
    ),
    *,
    template: Annotated[
        str, typer.Option("--template", help="What to begin with: orders, reports or tour.")
    ] = TEMPLATE_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a small bundle that works.

    orders: a webhook that is answered at once. reports: a timer that asks a web service.
    tour: a flow for each type of node. Nothing that exists is written over.
    """
    texts = template_texts(template)
    existing = sorted(name for name in texts if (folder / name).exists())
    if existing:
        raise CommandError(
            f"{folder} already has {', '.join(existing)}", hint="name another folder"
        )
    for name, text in texts.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Mode x: what appeared since the check above is not written over either.
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    if as_json:
        print_json({"folder": str(folder), "template": template, "files": sorted(texts)})
        return
    for name in sorted(texts):
        say(f"  {folder / name}")
    say(f"Run it:      greentic-events start {folder}", style="bold")
    say(f"Examine it:  greentic-events flow doctor {folder}", style="bold")


def template_texts(template: str) -> dict[str, str]:
    """Give a template's files, path in the bundle to text. CommandError for an unknown name."""
    folder = files(_PACKAGE) / "templates"
    names = sorted(item.name for item in folder.iterdir() if item.is_dir())
    if template not in names:
        hint = did_you_mean(template, names) or f"there are {', '.join(names)}"
        raise CommandError(f"there is no template {template!r}", hint=hint)
    return dict(_texts(folder / template, ""))


def _texts(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.is_dir():
            found += _texts(item, f"{prefix}{item.name}/")
        else:
            found.append((f"{prefix}{item.name}", item.read_text(encoding="utf-8")))
    return found
