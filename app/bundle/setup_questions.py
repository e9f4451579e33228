"""What `setup` asks about a provider's options, made of the options' model.

In: a model. Out: questions with their help, and the value that an answer's text stands for. The
rarely used options, those that have a default of their own, are asked only when that is wanted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

ENABLED: Final = "enabled"
_YES: Final = frozenset({"y", "yes", "true", "on", "1"})
_NO: Final = frozenset({"n", "no", "false", "off", "0"})


@dataclass(frozen=True, slots=True)
class Question:
    """One option to be asked about."""

    option: str
    help: str
    is_secret: bool
    is_required: bool
    is_advanced: bool
    default: Any
    """What holds if nothing is answered; None where nothing does."""
    types: frozenset[type]
    """What the option may hold, unions taken apart; unknown ones are answered in JSON."""


def questions_of(model: type[BaseModel], *, advanced: bool) -> Sequence[Question]:
    """Give the questions in the order of the model's fields."""
    questions = [
        _question(name, field) for name, field in model.model_fields.items() if name != ENABLED
    ]
    return [question for question in questions if advanced or not question.is_advanced]


def secret_options(model: type[BaseModel]) -> frozenset[str]:
    """Name the options that are secrets themselves, not only hold some."""
    return frozenset(q.option for q in questions_of(model, advanced=True) if q.is_secret)


def read_answer(question: Question, text: str) -> Any:
    """Give the value that a text stands for; ValueError says what is expected."""
    types = question.types - {type(None)}
    if types == {bool}:
        return _yes_or_no(text)
    if types == {int}:
        return _number(text, int)
    if types <= {int, float}:
        return _number(text, float)
    if types <= {str, SecretStr}:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if str in types:
            return text
        raise ValueError("must be JSON, like {} or []") from None


def problem_with(model: type[BaseModel], option: str, value: Any) -> str | None:
    """Say what is wrong with one option's value alone, without repeating it; None: nothing."""
    try:
        model.model_validate({option: value})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            if detail["loc"] and detail["loc"][0] == option:
                return detail["msg"].removeprefix("Value error, ")
    return None


def answer_template(
    name: str, model: type[BaseModel], current: Mapping[str, Any], *, advanced: bool
) -> dict[str, Any]:
    """Give answers to be filled in: secrets by variables, null for what must be said.

    ``current`` has references where secrets are: a template must not carry one along.
    """
    answers: dict[str, Any] = {ENABLED: current.get(ENABLED, True)}
    for question in questions_of(model, advanced=advanced):
        option = question.option
        if question.is_secret:
            answers[option] = variable_for(f"{name}.{option}")
        else:
            answers[option] = current.get(option, question.default)
    # Whatever else the bundle says already is an answer too.
    return {**answers, **{key: value for key, value in current.items() if key not in answers}}


def variable_for(secret: str) -> str:
    """Give ``$NAME`` for the secret of that name."""
    text = "".join(char if char.isascii() and char.isalnum() else "_" for char in secret)
    return f"${text.upper()}"


def _question(name: str, field: FieldInfo) -> Question:
    types = frozenset(_types_in(field.annotation))
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    is_advanced = bool(extra.get("advanced", not field.is_required() and default not in (None, "")))
    return Question(
        option=name,
        help=" ".join((field.description or "").split()),
        is_secret=SecretStr in types,
        is_required=field.is_required(),
        is_advanced=is_advanced,
        default=_plain(default),
        types=types,
    )


def _types_in(annotation: Any) -> list[type]:
    """Take unions and annotations apart; a container stays what it is."""
    origin = getattr(annotation, "__origin__", None)
    if isinstance(origin, type) and origin in (list, tuple, dict, set, frozenset):
        return [origin]
    arguments = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _types_in(arguments[0])
    if arguments and all(isinstance(item, str) for item in arguments):
        return [str]  # a Literal of texts
    if arguments:
        return [found for part in arguments for found in _types_in(part)]
    return [annotation] if isinstance(annotation, type) else [object]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return json.loads(json.dumps(value, default=str))


def _yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("must be yes or no")


def _number(text: str, kind: type[int] | type[float]) -> Any:
    try:
        return kind(text.strip())
    except ValueError:
        whole = "a whole number" if kind is int else "a number"
        raise ValueError(f"must be {whole}") from None
