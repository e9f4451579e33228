"""``greentic-events setup``: the options of a bundle's providers, asked, checked and put away.

In: a bundle; answers from a file or a terminal. Out: its ``answers.json`` without secrets, the
secrets sealed in the store. Refuses, with every problem at once, what the providers would; then
nothing is written.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actors.errors import PermanentError
from app.bundle.answers import WEBHOOK, Lookups
from app.bundle.reading import referenced_secrets
from app.bundle.references import find_references, replace_references
from app.bundle.setup_options import ProviderSetup, masked, prepare
from app.bundle.setup_questions import answer_template, secret_options, variable_for
from app.bundle.setup_reading import SetupBundle, read_for_setup, read_given_answers
from app.bundle.setup_writing import format_answers, write_answers
from app.cli.auditing import cli_who
from app.cli.output import print_json, say, warn
from app.cli.setup_asking import ask_provider
from app.cli.setup_store import open_store
from app.cli.setup_verify import verify
from app.cli.vault import SETTINGS_FILE
from app.control.secret_desk import SecretDesk
from app.errors import CommandError, NotFoundError, SettingsError
from app.providers.catalog import find_provider
from app.providers.provider import ProviderSpec
from app.settings.loading import load_settings
from app.settings.sections import Settings
from app.stores.secrets import BUNDLE_SCOPE

ROUNDS_MAX: Final = 3
"""How often wrong answers are asked for again."""


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """What was asked for."""

    bundle: SetupBundle
    settings: Settings
    given: Mapping[str, Any] | None
    """The answers; None: ask."""
    advanced: bool
    verifies: bool


def setup_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")] = Path(),
    *,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", help="Take the answers of this file, JSON or YAML; ask nothing."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    emit_answers: Annotated[
        Path | None,
        typer.Option("--emit-answers", help="Write answers to be filled in, and end; - prints."),
    ] = None,
    advanced: Annotated[
        bool, typer.Option("--advanced", help="Ask about the rarely used options too.")
    ] = False,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="Only this provider; repeatable.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", help="Not this provider; repeatable.")
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not ask the services whether it works.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the nats-server's store.", show_default="BUNDLE/.greentic"),
    ] = None,
    nats_url: Annotated[
        str | None, typer.Option(help="Where NATS is, instead of a server of our own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Set up the providers of a bundle: check their options, store their secrets encrypted.

    Options go into the bundle's answers; a secret goes into the store, sealed, and the answers
    refer to it. In a file of answers, $NAME takes the value of an environment variable.
    """
    given = None if answers is None else read_given_answers(answers)
    found = read_for_setup(bundle, provider or (), skip or (), given or ())
    if emit_answers is not None:
        _emit(found, emit_answers, advanced=advanced)
        return
    toml = bundle / SETTINGS_FILE
    flags = {"server.data_dir": None if data is None else str(data), "nats.url": nats_url}
    settings = load_settings(toml if toml.is_file() else None, os.environ, flags)
    if given is None and not sys.stdin.isatty():
        given = {}  # nobody to ask: what the bundle says already is checked and put away
    _check_names(found, given or {})
    request = SetupRequest(found, settings, given, advanced, verifies=not no_verify)
    setups = asyncio.run(_dry_run(request) if dry_run else _set_up(request))
    _show(found, setups, dry_run=dry_run, as_json=as_json)


async def _dry_run(request: SetupRequest) -> Sequence[ProviderSetup]:
    """Check as far as it goes without the store, which stays as it is."""
    setups = _collect(request, Lookups(os.environ, None))
    _raise_problems(setups)
    return setups


async def _set_up(request: SetupRequest) -> Sequence[ProviderSetup]:
    bundle = request.bundle
    async with open_store(request.settings, bundle.root) as desk:
        names = find_references([bundle.answers, dict(request.given or {})])
        stored = await desk.store.find_all(BUNDLE_SCOPE, names)
        setups = _collect(request, Lookups(os.environ, stored))
        _raise_problems(setups)
        if request.verifies:
            await verify(setups, request.settings, _base_url(bundle, setups))
        for setup in setups:
            for name, value in setup.secrets.items():
                await desk.set(cli_who(), BUNDLE_SCOPE, name, value)
        after = _after(bundle, setups)
        if after != bundle.answers or any(setup.secrets for setup in setups):
            write_answers(bundle.root, bundle.file, after)
        # What tenants answer for themselves may refer to the same secret.
        await _forget(desk, find_references(bundle.answers) - referenced_secrets(bundle.root))
    return setups


async def _forget(desk: SecretDesk, names: frozenset[str]) -> None:
    """Remove the secrets that no option refers to any more."""
    for name in sorted(names):
        try:
            await desk.remove(cli_who(), BUNDLE_SCOPE, name)
        except (NotFoundError, PermanentError):
            continue


def _collect(request: SetupRequest, lookups: Lookups) -> Sequence[ProviderSetup]:
    bundle, given = request.bundle, request.given
    if given is not None:
        return [
            prepare(spec, bundle.answers.get(spec.name), given.get(spec.name), lookups)
            for spec in bundle.providers
        ]
    setups = []
    for spec in bundle.providers:
        before = bundle.answers.get(spec.name) or {}
        answers = ask_provider(spec, before, advanced=request.advanced)
        setup = prepare(spec, before, answers, lookups)
        for _ in range(ROUNDS_MAX):
            if not setup.problems:
                break
            for problem in setup.problems:
                warn(problem, style="red")
            wrong = setup.wrong_options - {spec.name, ""}
            answers |= ask_provider(spec, before | answers, advanced=True, only=wrong or None)
            setup = prepare(spec, before, answers, lookups)
        setups.append(setup)
    return setups


def _base_url(bundle: SetupBundle, setups: Sequence[ProviderSetup]) -> str | None:
    """Give where senders reach the host: some providers tell it to their services."""
    written = {setup.spec.name: setup.written for setup in setups}
    options = written.get(WEBHOOK) or bundle.answers.get(WEBHOOK) or {}
    url = options.get("public_base_url")
    return url.rstrip("/") if isinstance(url, str) and not url.startswith("$") else None


def _raise_problems(setups: Sequence[ProviderSetup]) -> None:
    problems = [problem for setup in setups for problem in setup.problems]
    if problems:
        raise SettingsError(problems)


def _check_names(bundle: SetupBundle, given: Mapping[str, Any]) -> None:
    known = {spec.name for spec in bundle.providers}
    for name in given:
        if name not in known:
            why = "it is left out" if find_provider(name) else "there is no such provider"
            warn(f"answers for {name} are not used: {why}", style="yellow")


def _after(bundle: SetupBundle, setups: Sequence[ProviderSetup]) -> dict[str, Any]:
    written = {setup.spec.name: dict(setup.written) for setup in setups}
    return {**bundle.answers, **{name: options for name, options in written.items() if options}}


def _emit(bundle: SetupBundle, target: Path, *, advanced: bool) -> None:
    template = {
        spec.name: answer_template(
            spec.name,
            spec.options_model,
            _without_secrets(spec, bundle.answers.get(spec.name)),
            advanced=advanced,
        )
        for spec in bundle.providers
    }
    text = format_answers(target.name, template)
    if str(target) == "-":
        sys.stdout.write(text)
        return
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}") from None
    say(f"wrote {target}: fill it in and run setup --answers {target}")


def _without_secrets(spec: ProviderSpec, current: Any) -> Mapping[str, Any]:
    """Give the options that are there, with variables where secrets stand in plain text.

    Of options that are wrong nobody knows which are secret: these are left out.
    """
    setup = prepare(spec, current, None, Lookups(os.environ, None))
    if setup.problems:
        return {}
    fresh = {name: variable_for(name) for name in setup.secrets}
    return dict(replace_references(setup.written, fresh))


def _show(
    bundle: SetupBundle, setups: Sequence[ProviderSetup], *, dry_run: bool, as_json: bool
) -> None:
    changes = {setup.spec.name: _changes(setup) for setup in setups}
    stored = sorted(name for setup in setups for name in setup.secrets)
    if as_json:
        print_json({"dry_run": dry_run, "file": bundle.file, "changes": changes, "secrets": stored})
        return
    for name, options in changes.items():
        say(f"{name}: {'' if options else 'nothing changes'}", style="bold")
        for option, (before, after) in options.items():
            say(f"  {option}: {_shown(before)} → {_shown(after)}")
    for secret in stored:
        say(f"  {'would store' if dry_run else 'stored'} the secret {secret}")
    if dry_run:
        say("nothing was changed: this was a dry run")


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _changes(setup: ProviderSetup) -> dict[str, tuple[Any, Any]]:
    """Give the options that change, before and after, without any secret."""
    values = list(setup.secrets.values())
    places = secret_options(setup.spec.options_model)
    before = masked(dict(setup.before), values, places)
    after = masked(dict(setup.written), values, places)
    return {
        option: (before.get(option), after.get(option))
        for option in {**before, **after}
        if setup.before.get(option) != setup.written.get(option) or option not in before
    }
