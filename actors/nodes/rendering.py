"""Texts of a node's config that are templates: compiled once, rendered at every step.

In: any part of a config. Out: a `Rendering` that gives the JSON value for a scope. Whatever holds
no ``{{`` passes through as it is; a text that is one tag alone keeps the value's JSON type.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from actors.diagnostics import Diagnostic, DocumentPath
from actors.nodes.language import failure_of, findings_of
from grammar import Budget, EvaluationError, GrammarError, Template, compile_template

TAG: Final = "{{"


class Rendering(Protocol):
    """A part of a config, ready to be filled in."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the scope that it reads."""
        ...

    @property
    def is_constant(self) -> bool:
        """True when it gives the same value for every scope."""
        ...

    def render(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Give the value; PermanentError (``template.…``) when a template fails."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """A part without templates. Its value is shared by all runs and must not be changed."""

    value: Any
    names: frozenset[str] = frozenset()
    is_constant: bool = True

    def render(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Give the value of the file."""
        del scope, budget
        return self.value


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A text with tags: one tag alone gives its value, anything else gives text."""

    template: Template
    names: frozenset[str]
    is_constant: bool = False

    def render(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Evaluate the template."""
        try:
            return self.template.evaluate(scope, budget)
        except EvaluationError as error:
            raise failure_of(error, "template") from None


@dataclass(frozen=True, slots=True)
class RenderedMap:
    """A mapping with a template somewhere in its values; keys are never templates."""

    items: tuple[tuple[str, Rendering], ...]
    names: frozenset[str]
    is_constant: bool = False

    def render(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Render every value."""
        return {key: value.render(scope, budget) for key, value in self.items}


@dataclass(frozen=True, slots=True)
class RenderedList:
    """A list with a template somewhere in it."""

    items: tuple[Rendering, ...]
    names: frozenset[str]
    is_constant: bool = False

    def render(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Render every item."""
        return [item.render(scope, budget) for item in self.items]


@dataclass(slots=True)
class RenderingCompiler:
    """Compiles parts of one flow's configs; every template error becomes a finding."""

    partials: Mapping[str, str]
    findings: list[Diagnostic] = field(default_factory=list)

    def compile(self, value: Any, path: DocumentPath) -> Rendering:
        """Compile a part found at ``path``. Depth is bounded: the document was checked before."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return self._map(value, path)
        if isinstance(value, list):
            return self._list(value, path)
        return Constant(value)

    def template(self, text: str, path: DocumentPath, *, name: str, is_html: bool) -> Template:
        """Compile a whole template; one that is wrong is reported and renders nothing."""
        escape: Any = "html" if is_html else "none"
        try:
            return compile_template(text, name=name, partials=self.partials, escape=escape)
        except GrammarError as error:
            self.findings += findings_of(error, "template", path)
            return compile_template("")

    def _text(self, text: str, path: DocumentPath) -> Rendering:
        if TAG not in text:
            return Constant(text)
        name = ".".join(map(str, path))
        template = self.template(text, path, name=name, is_html=False)
        return TemplateText(template, template.names)

    def _map(self, value: dict[str, Any], path: DocumentPath) -> Rendering:
        items = tuple((key, self.compile(item, (*path, key))) for key, item in value.items())
        if all(item.is_constant for _, item in items):
            return Constant(value)
        return RenderedMap(items, names_of([item for _, item in items]))

    def _list(self, value: list[Any], path: DocumentPath) -> Rendering:
        items = tuple(self.compile(item, (*path, index)) for index, item in enumerate(value))
        if all(item.is_constant for item in items):
            return Constant(value)
        return RenderedList(items, names_of(items))


def names_of(parts: Sequence[Rendering]) -> frozenset[str]:
    """Join the names that several parts read."""
    return frozenset[str]().union(*(part.names for part in parts))


def text_of(value: Any) -> str:
    """Show a rendered value as a template would: null is nothing, text stays, the rest is JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
