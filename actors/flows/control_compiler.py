"""Flow control: compiled and judged (SPEC 8).

In: a draft's `config`. Out: a `ControlPlan`, and findings. Refuses keys that read what is not known
before a run begins, and rules that contradict each other (docs/flow-control.md has the table).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from actors.diagnostics import Diagnostic, DocumentPath
from actors.flows.control import (
    BatchRule,
    ConcurrencyRule,
    ControlPlan,
    DebounceRule,
    RateRule,
    SingletonRule,
)
from actors.flows.control_definition import RateLimitConfig, ThrottleConfig
from actors.flows.definition import FlowConfig, TimerTrigger
from actors.flows.draft import Draft
from actors.nodes.site import SECRETS, STATE, NodeSite
from grammar import Program


class Clash(NamedTuple):
    """Two rules that cannot stand together. ``skip`` and ``cancel`` are modes of `singleton`."""

    one: str
    other: str
    reason: str
    hint: str


CLASHES: Final = (
    Clash(
        "batch",
        "debounce",
        "a batch keeps every event, a debounce drops all but the last",
        "keep one of them",
    ),
    Clash(
        "batch",
        "rate_limit",
        "a refused batch would lose all its events",
        "'throttle' delays batches instead",
    ),
    Clash(
        "batch",
        "singleton",
        "a batch that is refused or cancelled would lose all its events",
        "'concurrency: {limit: 1}' runs one batch after the other",
    ),
    Clash(
        "batch",
        "ordered",
        "the events of one batch may have different keys of 'ordered'",
        "'concurrency: {limit: 1}' with the batch's key runs one batch after the other",
    ),
    Clash(
        "debounce",
        "rate_limit",
        "the last event, the only one that counts, could be refused",
        "'throttle' delays it instead",
    ),
    Clash(
        "debounce",
        "skip",
        "the last event, the only one that counts, could be refused",
        "use 'mode: cancel', or 'concurrency: {limit: 1}'",
    ),
    Clash(
        "debounce",
        "ordered",
        "a debounced event's turn comes when its key is quiet, not in the order of events",
        "'concurrency: {limit: 1}' with the same key runs one after the other",
    ),
    Clash(
        "ordered",
        "skip",
        "'ordered' lets a later run of the key wait, 'singleton' refuses it",
        "keep one of them",
    ),
    Clash(
        "ordered",
        "cancel",
        "'ordered' lets a later run of the key wait, 'singleton' ends the earlier one for it",
        "keep one of them",
    ),
    Clash(
        "isolated",
        "tenant",
        "a 'concurrency' of scope 'tenant' is judged where all such flows wait together",
        "leave 'isolated' out, or use the scope 'flow'",
    ),
)
"""Every pair that is refused; all others work together."""

UNANSWERABLE: Final = ("batch", "debounce")
"""Rules under which no webhook waits: its own run may never come to be."""


def compile_control(draft: Draft, site: NodeSite) -> ControlPlan | None:
    """Compile what the flow's `config` says about flow control; None where it says nothing."""
    config, keys = draft.config, _Keys(site)
    site.findings.extend(_clashes(config))
    site.findings.extend(_overlaps(draft))
    plan = ControlPlan(
        concurrency=_concurrency(config, keys),
        throttle=_rate("throttle", config.throttle, keys),
        rate_limit=_rate("rate_limit", config.rate_limit, keys),
        debounce=_debounce(config, keys),
        batch=_batch(config, keys),
        singleton=_singleton(config, keys),
        ordered=keys.compile(config.ordered, "ordered"),
        is_isolated=config.isolated,
    )
    return plan if plan.is_exclusive or plan.is_isolated else None


def decides_order(config: FlowConfig) -> bool:
    """Tell whether rules, and not `overlap`, say what a timer's tick does beside another."""
    return bool(_rules_of(config) - {"isolated"})


def check_answers(config: FlowConfig, *, answers: bool) -> Iterator[Diagnostic]:
    """Warn of answers that no webhook waits for."""
    for rule in UNANSWERABLE:
        if answers and getattr(config, rule) is not None:
            message = (
                f"no webhook waits for an answer of a flow with {rule!r}: it gets its 202 at once"
            )
            yield Diagnostic("warning", "flow.control_answer", ("config", rule), message)


# ── Rules that contradict each other ─────────────────────────────────────────────────────────────


def _rules_of(config: FlowConfig) -> set[str]:
    """Name the rules a flow has, `singleton` also by its mode and `concurrency` by its scope."""
    names = ("concurrency", "throttle", "rate_limit", "debounce", "batch", "singleton", "ordered")
    rules = {name for name in names if getattr(config, name) is not None}
    if config.singleton is not None:
        rules.add(config.singleton.mode)
    if config.concurrency is not None and config.concurrency.scope == "tenant":
        rules.add("tenant")
    if config.isolated:
        rules.add("isolated")
    return rules


def _clashes(config: FlowConfig) -> Iterator[Diagnostic]:
    rules = _rules_of(config)
    for clash in CLASHES:
        if clash.one in rules and clash.other in rules:
            other = _NAMES.get(clash.other, clash.other)
            message = f"{clash.one!r} cannot go with {other!r}: {clash.reason}"
            path: DocumentPath = ("config", clash.one)
            yield Diagnostic("error", "flow.control_clash", path, message, clash.hint)


_NAMES: Final = {
    "skip": "singleton: {mode: skip}",
    "cancel": "singleton: {mode: cancel}",
    "tenant": "concurrency: {scope: tenant}",
}


def _overlaps(draft: Draft) -> Iterator[Diagnostic]:
    """Refuse a spelled-out `overlap` beside rules: two masters would decide about one tick."""
    if not decides_order(draft.config):
        return
    for placed in draft.triggers:
        timer = placed.definition
        if not isinstance(timer, TimerTrigger) or "overlap" not in timer.model_fields_set:
            continue
        if timer.overlap != "allow":
            message = f"'overlap: {timer.overlap}' cannot go with flow control, which decides it"
            hint = f"leave it out, or say 'allow'; {_INSTEAD_OF_OVERLAP[timer.overlap]}"
            path: DocumentPath = ("triggers", placed.index, "overlap")
            yield Diagnostic("error", "flow.control_clash", path, message, hint)


_INSTEAD_OF_OVERLAP: Final = {
    "skip": "'singleton: {mode: skip}' does the same for all runs of the flow",
    "queue": "'concurrency: {limit: 1}' does the same for all runs of the flow",
    "cancel": "'singleton: {mode: cancel}' does the same for all runs of the flow",
}


# ── Rules ────────────────────────────────────────────────────────────────────────────────────────


class _Keys:
    """Compiles key expressions."""

    def __init__(self, site: NodeSite) -> None:
        self._site = site.at("config")

    def compile(self, text: str | None, *path: str) -> Program | None:
        """Compile one; it may read only what is known before the run begins."""
        if text is None:
            return None
        program = self._site.script(text, *path)
        for name in (STATE, SECRETS):
            if name in program.names:
                message = f"a key cannot use {name!r}: it is needed before the run begins"
                self._site.report("flow.control_key", path, message, hint=_KEY_HINT)
        return program


_KEY_HINT: Final = "use what came with the event: event, payload, headers, query, flow.NAME"


def _concurrency(config: FlowConfig, keys: _Keys) -> ConcurrencyRule | None:
    rule = config.concurrency
    if rule is None:
        return None
    key = keys.compile(rule.key, "concurrency", "key")
    return ConcurrencyRule(rule.limit, key, rule.scope)


def _rate(name: str, rule: ThrottleConfig | RateLimitConfig | None, keys: _Keys) -> RateRule | None:
    if rule is None:
        return None
    return RateRule(rule.limit, rule.period, keys.compile(rule.key, name, "key"))


def _debounce(config: FlowConfig, keys: _Keys) -> DebounceRule | None:
    rule = config.debounce
    if rule is None:
        return None
    key = keys.compile(rule.key, "debounce", "key")
    return DebounceRule(rule.period, key, rule.max_wait)


def _batch(config: FlowConfig, keys: _Keys) -> BatchRule | None:
    rule = config.batch
    if rule is None:
        return None
    return BatchRule(rule.max_size, rule.max_wait, keys.compile(rule.key, "batch", "key"))


def _singleton(config: FlowConfig, keys: _Keys) -> SingletonRule | None:
    rule = config.singleton
    if rule is None:
        return None
    return SingletonRule(rule.mode, keys.compile(rule.key, "singleton", "key"))
