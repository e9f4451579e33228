"""Asking for options at a terminal, one question at a time.

In: a provider, the options that are there. Out: the answers. A secret is never shown, an empty
answer keeps what is there, and an answer that cannot be is refused at once with the reason.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import typer

from app.bundle.references import referenced_name
from app.bundle.setup_questions import (
    ENABLED,
    Question,
    problem_with,
    questions_of,
    read_answer,
)
from app.cli.output import say, warn
from app.providers.provider import ProviderSpec

ATTEMPTS_MAX: Final = 5

_NOTHING: Final = object()


def ask_provider(
    spec: ProviderSpec,
    current: Mapping[str, Any],
    *,
    advanced: bool,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Ask whether a provider is wanted, and then about its options (``only`` these)."""
    answers: dict[str, Any] = {}
    if only is None:
        say(f"\n{spec.name}: {spec.summary}", style="bold")
        is_on = current.get(ENABLED, True) is not False
        answers[ENABLED] = typer.confirm(f"Use {spec.name}?", default=is_on)
        if not answers[ENABLED]:
            return answers
    for question in questions_of(spec.options_model, advanced=advanced or only is not None):
        if only is not None and question.option not in only:
            continue
        value = _ask(spec, question, current.get(question.option, _NOTHING))
        if value is not _NOTHING:
            answers[question.option] = value
    return answers


def _ask(spec: ProviderSpec, question: Question, current: Any) -> Any:
    if question.help:
        say(f"  {question.help}", style="dim")
    for _ in range(ATTEMPTS_MAX):
        text = str(
            typer.prompt(
                f"  {question.option}{_state(question, current)}",
                default="",
                show_default=False,
                hide_input=question.is_secret,
            )
        )
        if not text:
            return _NOTHING
        try:
            value = read_answer(question, text)
        except ValueError as error:
            warn(f"  {question.option}: {error}", style="red")
            continue
        problem = problem_with(spec.options_model, question.option, value)
        if problem is None:
            return value
        warn(f"  {question.option}: {problem}", style="red")
    return _NOTHING


def _state(question: Question, current: Any) -> str:
    """Say what an empty answer keeps."""
    if current is _NOTHING:
        has_default = question.default not in (None, "") and not question.is_secret
        return f" [{question.default}]" if has_default else ""
    if question.is_secret or referenced_name(current) is not None:
        return " [is set]"
    return f" [{current}]"
