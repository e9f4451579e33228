"""Mails from the bundle's own templates.

In: a template's id and its data. Out: text and HTML. ``welcome`` is ``templates/welcome.hbs`` for
the text and ``templates/welcome.html.hbs`` for the HTML, either or both. Refuses ids without a
file, and templates that cannot be compiled or rendered. What the HTML shows is escaped.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from actors.errors import PermanentError
from grammar import Budget, EvaluationError, GrammarError, Template, compile_template

TEXT_SUFFIX: Final = ".hbs"
HTML_SUFFIX: Final = ".html.hbs"
FOLDER: Final = "templates/"


class LocalTemplates:
    """The bundle's templates, each compiled when it is first needed."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = {name.removeprefix(FOLDER): text for name, text in files.items()}
        self._partials = _partials(self._files)
        self._compiled: dict[str, Template] = {}

    def render(self, template_id: str, data: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """Give the text and the HTML; None for the one without a file."""
        text_name, html_name = template_id + TEXT_SUFFIX, template_id + HTML_SUFFIX
        if text_name not in self._files and html_name not in self._files:
            raise PermanentError(
                f"there is no template {FOLDER}{text_name} and no {FOLDER}{html_name}",
                reason="email.unknown_template",
            )
        return self._render(text_name, data, "none"), self._render(html_name, data, "html")

    def _render(
        self, name: str, data: Mapping[str, Any], escape: Literal["none", "html"]
    ) -> str | None:
        if name not in self._files:
            return None
        try:
            return self._template(name, escape).render(data, Budget())
        except EvaluationError as error:
            raise _failure(name, error, error.kind) from None
        except GrammarError as error:
            raise _failure(name, error, "invalid") from None

    def _template(self, name: str, escape: Literal["none", "html"]) -> Template:
        found = self._compiled.get(name)
        if found is None:
            found = compile_template(
                self._files[name], name=FOLDER + name, partials=self._partials, escape=escape
            )
            self._compiled[name] = found
        return found


def _partials(files: Mapping[str, str]) -> dict[str, str]:
    """Offer every file as a partial: by its path, and by its name without ``.hbs``, as flows do."""
    partials: dict[str, str] = {}
    for name, text in files.items():
        partials.setdefault(name.removesuffix(TEXT_SUFFIX).removesuffix(".html"), text)
        partials[FOLDER + name] = text
    return partials


def _failure(name: str, error: GrammarError, kind: str) -> PermanentError:
    return PermanentError(f"{FOLDER}{name}: {str(error)[:500]}", reason=f"template.{kind}")
