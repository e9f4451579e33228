"""The pages of settings, errors and metrics, each made of the table that the program itself uses.

In: settings sections, error classes, the metrics registry, the table of observations. Out:
Markdown. Nothing is described twice: what is not said in the code is not on the page.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Sequence
from typing import Final

import actors
import app
import grammar
from actors.errors import ActorsError
from app.bus import observations as bus
from app.bus import server
from app.cli.docs_markdown import code, page, prose, table
from app.cli.docs_models import HEAD, model_rows
from app.cli.exit_codes import EXIT_CODES, exit_code_of
from app.errors import AppError
from app.http.problems import status_of
from app.observability import loop_watchdog as watchdog
from app.observability import metrics
from app.observability.labels import FLOWS_MAX, TENANTS_MAX
from app.observability.rules import RULES, Rule, rule_by_name
from app.providers.catalog import BUILT_IN
from app.settings.history import HistorySection
from app.settings.limits import LimitsSection
from app.settings.secrets import SecretsSection
from app.settings.section import Section
from app.settings.sections import (
    LoggingSection,
    NatsSection,
    ServerSection,
    Settings,
    WorkerSection,
)
from app.settings.security import SecuritySection
from app.settings.sources import ENVIRONMENT
from grammar import GrammarError

_OwnError = AppError | ActorsError | GrammarError
_PACKAGE_NAMES: Final = ("app", "actors", "grammar")

_SECTIONS: Final[Sequence[tuple[str, type[Section]]]] = (
    ("server", ServerSection),
    ("nats", NatsSection),
    ("logging", LoggingSection),
    ("worker", WorkerSection),
    ("history", HistorySection),
    ("secrets", SecretsSection),
    ("security", SecuritySection),
    ("limits", LimitsSection),
)
_METRIC: Final = re.compile(r"^ *(greentic_\w+)(?:\{([\w, ]+)\})? ", re.MULTILINE)


_SOURCES: Final = (
    "Settings come from four places, each over the one before: defaults, `greentic.toml` in the"
    " bundle's folder, environment variables, flags of `start` (`--host`, `--port`, `--admin`,"
    " `--data`, `--roles`, `--nats`, `--nats-url`). Unknown keys are refused, and all problems are"
    " told at once. `greentic-events doctor` shows what is in force, secrets masked. Times are in"
    " seconds."
)
_ANSWERS: Final = (
    "Options of the providers, by provider, in `answers.json` or `answers.yaml` of the bundle."
    " `$NAME` is expanded from the environment of whoever runs the command. A provider is on"
    " if it is answered there or listed in the manifest, or if the manifest lists none at all."
)

# ── Settings ─────────────────────────────────────────────────────────────────────────────────


def configuration_page() -> str:
    """Give the page of settings, environment variables and provider options."""
    variables = {key: name for name, key in ENVIRONMENT.items()}
    parts = [
        _SOURCES,
        "## env",
        table(("variable", "default", "meaning"), [_env_row(variables)]),
    ]
    for name, section in _SECTIONS:
        rows = (
            (*row[:3], code(variables.get(f"{name}.{row[0].strip('`')}", "")), row[3])
            for row in model_rows(section)
        )
        parts.append(f"## [{name}]")
        parts.append(table((*HEAD[:3], "variable", HEAD[3]), rows))
    parts += [
        "## answers.json",
        _ANSWERS,
        *(
            part
            for spec in BUILT_IN
            for part in (f"### {spec.name}", table(HEAD, model_rows(spec.options_model)))
        ),
    ]
    return page("Configuration", *parts)


def _env_row(variables: dict[str, str]) -> tuple[str, str, str]:
    _, _, default, meaning = next(row for row in model_rows(Settings) if row[0] == code("env"))
    return code(variables["env"]), default, meaning


# ── Errors ───────────────────────────────────────────────────────────────────────────────────


def errors_page() -> str:
    """Give the page of all error classes: their codes, HTTP statuses and exit codes."""
    for package in (app, actors, grammar):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return page(
        "Errors",
        "Each error has a stable code. Logs carry it as `error_code`, HTTP answers as `code` in an"
        " `application/problem+json` document (and in its `type`, `urn:greentic:problem:CODE`), and"
        " the command line in brackets behind the message, or under `error.code` with `--json`.",
        "A 500 tells the client nothing but `http.internal`; what happened is in the log. With 429"
        " and 503 comes `Retry-After`.",
        *(
            part
            for title, root in (
                ("HTTP, bundles, commands and stores", AppError),
                ("Actors, events and nodes", ActorsError),
                ("The language", GrammarError),
            )
            for part in (f"## {title}", _error_table(root))
        ),
        "## Exit codes",
        table(("code", "meaning"), _exit_rows()),
    )


def _error_table(root: type[_OwnError]) -> str:
    rows = (
        (code(kind.code), str(status_of(kind)), str(_exit_code(kind)), _meaning(kind))
        for kind in _tree(root)
    )
    return table(("code", "HTTP", "exit", "meaning"), rows)


def _tree(root: type[_OwnError]) -> Iterator[type[_OwnError]]:
    yield root
    ours: list[type[_OwnError]] = [
        kind
        for kind in root.__subclasses__()
        if kind.__module__.partition(".")[0] in _PACKAGE_NAMES
    ]
    for child in sorted(ours, key=lambda kind: kind.code):
        yield from _tree(child)


def _exit_code(kind: type[BaseException]) -> int:
    return exit_code_of(kind.__new__(kind))


def _meaning(kind: type) -> str:
    return prose(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0])


def _exit_rows() -> Iterator[tuple[str, str]]:
    meanings = {
        0: "all well",
        1: "what was examined is wrong: a bundle, a flow, a run, a command that cannot be done",
        2: "the command line is wrong",
        3: "the configuration is wrong",
        4: "NATS or the server does not answer; try again later",
        5: "it answered, and refused",
        70: "a defect of this program; `--debug` shows its traceback",
        130: "stopped with Ctrl-C",
    }
    missing = set(EXIT_CODES.values()) - meanings.keys()
    if missing:
        raise AssertionError(f"exit codes without a meaning: {missing}")
    yield from ((str(number), text) for number, text in meanings.items())


# ── Metrics and log lines ────────────────────────────────────────────────────────────────────


def metrics_page() -> str:
    """Give the page of metrics and of the lines of the log."""
    return page(
        "Metrics and log lines",
        "`GET /metrics` on the admin address gives the metrics of this process in the Prometheus"
        " text format. Labels are bounded: tenants and flows beyond"
        f" {TENANTS_MAX} and {FLOWS_MAX} count as `other`.",
        table(("metric", "type", "labels", "meaning"), _metric_rows()),
        "## Log lines",
        "One table makes both, so that they never disagree. Lines are JSON where the output is no"
        " terminal. They carry neither payloads nor secrets. `info`: the state changed; `warning`:"
        " it will heal itself; `error`: a person must act; `debug`: the hot path.",
        table(("line", "level", "keys"), sorted(_log_rows())),
        "Lines that have no metric: `bundle.refused` (error: the changed bundle is not in force),"
        " `flow.refused` (error: a flow is left out, and why), `provider.warned` (warning),"
        " `request.failed` (error: a 500, with its traceback).",
    )


def _metric_rows() -> Iterator[tuple[str, str, str, str]]:
    labels = {name: text or "" for name, text in _METRIC.findall(metrics.__doc__ or "")}
    for family in metrics.Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield code(name), family.type, labels[name], family.documentation


def _log_rows() -> Iterator[tuple[str, str, str]]:
    above = [kind for _, kind in inspect.getmembers(bus, inspect.isclass)]
    above += [server.ServerDied, server.ServerRestarted, server.ServerGivenUp]
    above += [watchdog.LoopStalled, watchdog.LoopStuck, watchdog.LoopResumed]
    above += [watchdog.ProcessPaused]
    rules: list[Rule] = [*RULES.values(), *map(rule_by_name, above)]
    for rule in rules:
        level = rule.level if isinstance(rule.level, str) else "by outcome or flow"
        yield code(rule.event), level, ", ".join(map(code, rule.keys))
