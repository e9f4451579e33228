"""Where a node is compiled: its place in the document, its flow's resources, and what was found.

In: texts of a config. Out: programs and renderings that are always usable: one with an error is
reported and an empty one stands in for it, so that the doctor can tell everything at once.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from actors.diagnostics import Diagnostic, DocumentPath, Severity, did_you_mean
from actors.nodes.language import findings_of
from actors.nodes.rendering import Rendering, RenderingCompiler
from actors.nodes.resources import FlowResources, find_path, leaves_bundle
from grammar import (
    DEFAULT_LIMITS,
    GrammarError,
    Limits,
    Program,
    Template,
    compile_condition,
    compile_script,
)

SECRETS: Literal["secrets"] = "secrets"
STATE: Literal["state"] = "state"

LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(slots=True)
class NodeSite:
    """One node's config being compiled. ``path`` is the config's place in the document."""

    flow: str
    path: DocumentPath
    resources: FlowResources
    templates: RenderingCompiler
    log_level: LogLevel = "debug"
    """The flow's `logging.level`: `log` nodes below it stay silent."""
    may_read_secrets: bool = False
    """True in configs of calls that leave the process; their node fills them in with
    `actors.nodes.secret_access`."""
    script_limits: Limits = DEFAULT_LIMITS
    """What the flow's `script` nodes may spend, by its `config.script`."""

    @property
    def findings(self) -> list[Diagnostic]:
        """Everything found so far in the whole flow; add to it with `report`."""
        return self.templates.findings

    def report(
        self,
        code: str,
        key: DocumentPath,
        message: str,
        *,
        hint: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Add a finding at ``key``, a path below the config."""
        self.findings.append(Diagnostic(severity, code, self.path + key, message, hint))

    def with_secrets(self) -> "NodeSite":
        """Give the site of a config that may read `secrets.NAME`."""
        return replace(self, may_read_secrets=True)

    def at(self, *key: str | int) -> "NodeSite":
        """Give the site of a part of this config."""
        return replace(self, path=self.path + key)

    def script(self, text: str, *key: str | int, name: str | None = None) -> Program:
        """Compile a script that may call the bundle's functions."""
        path = self.path + key
        try:
            program = compile_script(text, name=name or _name(path), library=self.resources.library)
        except GrammarError as error:
            self.findings.extend(findings_of(error, "script", path))
            return compile_script("()")
        self._refuse_secrets(program.names, *key)
        return program

    def condition(self, text: str, *key: str | int) -> Program:
        """Compile a single expression that yields a bool."""
        path = self.path + key
        try:
            program = compile_condition(text, name=_name(path), library=self.resources.library)
        except GrammarError as error:
            self.findings.extend(findings_of(error, "condition", path))
            return compile_condition("false")
        self._refuse_secrets(program.names, *key)
        return program

    def rendering(self, value: Any, *key: str | int) -> Rendering:
        """Compile a part of the config that may hold templates."""
        rendering = self.templates.compile(value, self.path + key)
        self._refuse_secrets(rendering.names, *key)
        return rendering

    def template(self, text: str, *key: str | int, name: str, is_html: bool) -> Template:
        """Compile a whole template."""
        template = self.templates.template(text, self.path + key, name=name, is_html=is_html)
        self._refuse_secrets(template.names, *key)
        return template

    def script_file(self, path: str, *key: str | int) -> tuple[str, str] | None:
        """Find a script of the bundle: its path and text; None (and a finding) if there is none."""
        return self._file(path, self.resources.scripts, "script", key)

    def template_file(self, path: str, *key: str | int) -> tuple[str, str] | None:
        """Find a template of the bundle, as `script_file` does."""
        return self._file(path, self.resources.templates, "template", key)

    def _file(self, path: str, texts: Any, kind: str, key: DocumentPath) -> tuple[str, str] | None:
        found = find_path(path, texts)
        if found is not None:
            return found, texts[found]
        if leaves_bundle(path):
            self.report("flow.path_outside", key, f"{path!r} is not inside the bundle")
        else:
            hint = did_you_mean(path, texts)
            self.report("flow.missing_file", key, f"the bundle has no {kind} {path!r}", hint=hint)
        return None

    def _refuse_secrets(self, names: frozenset[str], *key: str | int) -> None:
        if SECRETS in names and not self.may_read_secrets:
            message = "secrets.NAME can be read only in configs of 'http' and of provider actions"
            self.report("flow.secret_here", key, message)


def _name(path: DocumentPath) -> str:
    return ".".join(map(str, path))
