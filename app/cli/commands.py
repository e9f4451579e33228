"""The commands of the program, a line each: they are imported when they are used.

In: the word that somebody typed. Out: the command, with its options. Refuses nothing. Importing all
of them costs more than a second, and a command line names one; the list of `--help` is made of the
lines here, which are those of the commands themselves (a test compares them).
"""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

_GROUP: Final = "_app"


@dataclass(frozen=True, slots=True)
class CommandPlace:
    """Where a command is, and what the list of commands says of it.

    ``maker`` is the function that is the command, or ends in ``_app`` and gives a group of them.
    """

    name: str
    module: str
    maker: str
    help: str
    is_hidden: bool = False


COMMANDS: Final[Sequence[CommandPlace]] = (
    CommandPlace("init", "app.cli.init", "init_command", "Write a small bundle that works."),
    CommandPlace("wizard", "app.cli.init", "init_command", "The same as init.", is_hidden=True),
    CommandPlace(
        "setup",
        "app.cli.setup",
        "setup_command",
        "Set up the providers of a bundle: check their options, store their secrets encrypted.",
    ),
    CommandPlace(
        "start",
        "app.cli.start",
        "start_command",
        "Run a bundle: take events in, run its flows, publish their results.",
    ),
    CommandPlace(
        "apply",
        "app.cli.apply",
        "apply_command",
        "Put a bundle in force for tenants on running workers, and wait until they run it.",
    ),
    CommandPlace(
        "diff",
        "app.cli.apply",
        "diff_command",
        "Show what an apply would change for tenants: flows, triggers, files, options, by name.",
    ),
    CommandPlace(
        "rollback",
        "app.cli.deployment",
        "rollback_command",
        "Put a tenant's former deployment in force again, as a new one.",
    ),
    CommandPlace(
        "promote",
        "app.cli.deployment",
        "promote_command",
        "Put what a tenant has in force here in force in another env.",
    ),
    CommandPlace(
        "doctor",
        "app.cli.doctor",
        "doctor_command",
        "Tell whether this machine and a bundle are ready to start.",
    ),
    CommandPlace(
        "docs",
        "app.cli.docs",
        "docs_command",
        "Write the reference pages that are made of the code.",
        is_hidden=True,
    ),
    CommandPlace(
        "deployment", "app.cli.deployment", "deployment_app", "What tenants have in force, and had."
    ),
    CommandPlace("flow", "app.cli.flow", "flow_app", "Examine flows, draw them, run them."),
    CommandPlace("event", "app.cli.event", "event_app", "Send events and watch them go by."),
    CommandPlace(
        "script", "app.cli.script", "script_app", "Run scripts, try them out, lay them out."
    ),
    CommandPlace(
        "run", "app.cli.run", "run_app", "See what runs came to, and watch them end; cancel one."
    ),
    CommandPlace(
        "history", "app.cli.history", "history_app", "Look after the database of ended runs."
    ),
    CommandPlace("audit", "app.cli.audit", "audit_app", "See who changed what."),
    CommandPlace(
        "platform", "app.cli.platform", "platform_app", "Manage what belongs to no tenant."
    ),
    CommandPlace("timer", "app.cli.timer", "timer_app", "See when timers fire, and pause them."),
    CommandPlace("worker", "app.cli.worker", "worker_app", "See the processes of an env."),
    CommandPlace(
        "dead-letter",
        "app.cli.dead_letter",
        "dead_letter_app",
        "See what could not be finished; replay or discard it.",
    ),
    CommandPlace("usage", "app.cli.usage", "usage_app", "See what tenants have used."),
    CommandPlace(
        "outbox",
        "app.cli.outbox",
        "outbox_app",
        "See what was sent while developing, and receive messages.",
    ),
    CommandPlace(
        "secret",
        "app.cli.secret",
        "secret_app",
        "Store secrets for flows; nothing shows them again.",
    ),
    CommandPlace(
        "tenant", "app.cli.tenant", "tenant_app", "Manage tenants, and what belongs to them."
    ),
    CommandPlace(
        "signature",
        "app.cli.signature",
        "signature_app",
        "Check signatures of requests, and make them.",
    ),
)


class CommandGroup(TyperGroup):
    """The program's own group: it has a line of `COMMANDS` for each command."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for place in COMMANDS:
            self.add_command(AwaitedCommand(place))


class AwaitedCommand(TyperCommand):
    """Stands for a command until it is used."""

    def __init__(self, place: CommandPlace) -> None:
        super().__init__(place.name, help=place.help, hidden=place.is_hidden)
        self._place = place
        self._loaded: TyperCommand | TyperGroup | None = None

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Import the command and let it read its arguments; what runs then is the command."""
        return self.loaded().make_context(info_name, args, parent, **extra)

    @property
    def commands(self) -> Mapping[str, Any]:
        """The commands of a group, by name; a command alone has none: AttributeError."""
        return self.loaded().commands  # type: ignore[union-attr] # see the docstring

    def loaded(self) -> TyperCommand | TyperGroup:
        """Give the command itself."""
        if self._loaded is None:
            self._loaded = _load(self._place)
        return self._loaded


def _load(place: CommandPlace) -> TyperCommand | TyperGroup:
    made = getattr(importlib.import_module(place.module), place.maker)
    if place.maker.endswith(_GROUP):
        group: TyperGroup = typer.main.get_group(made())
        group.name = place.name
        return group
    if "reach" in inspect.signature(made).parameters:
        made = importlib.import_module("app.cli.reach").reaching(made)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    own_help = place.help if place.is_hidden else None
    alone.command(place.name, help=own_help)(made)
    return cast("TyperCommand", typer.main.get_command(alone))
