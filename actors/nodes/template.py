"""`template`: text from a Handlebars template (SPEC 7).

In: `template`, or `template_file` of the bundle; `data`, names on top of the run's. Out: the text.
It is HTML-escaped only when the file's name ends in `.html.hbs` or `escape: html` is set.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from actors.errors import PermanentError
from actors.nodes.language import failure_of
from actors.nodes.output import check_output
from actors.nodes.rendering import Rendering
from actors.nodes.schema import STRICT
from actors.nodes.site import STATE, NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.state_access import StatefulNode
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from grammar import Budget, EvaluationError, Template

HTML_SUFFIX = ".html.hbs"


class TemplateConfig(BaseModel):
    """One of `template` and `template_file`, and what to render it with."""

    model_config = STRICT

    template: str | None = None
    """The template itself."""
    template_file: str | None = None
    """A file of the bundle, `templates/receipt.hbs`."""
    data: dict[str, Any] | str | None = None
    """Further names; a text must be one tag that yields a map."""
    escape: Literal["none", "html"] | None = None
    """By default `html` for a file named `….html.hbs`, else `none`."""


@dataclass(frozen=True, slots=True)
class TemplateNode:
    """Renders its template over the run's names and its own data."""

    template: Template
    data: Rendering

    def step(self, context: StepContext) -> Advance:
        """Render; PermanentError (``template.…``) when it fails."""
        budget = Budget()
        scope = context.scope
        data = self.data.render(scope, budget)
        if data is not None:
            if not isinstance(data, dict):
                raise PermanentError("'data' of a template must be a map", reason="template.data")
            scope = scope.for_sub_flow(data, scope.get("payload"))
        try:
            return Advance(check_output(self.template.render(scope, budget)))
        except EvaluationError as error:
            raise failure_of(error, "template") from None


def build_template(config: TemplateConfig, site: NodeSite) -> NodePlan:
    """Compile the template and its data."""
    template = _template(config, site)
    data = site.rendering(config.data, "data")
    node = TemplateNode(template, data)
    touches_state = STATE in template.names or STATE in data.names
    return NodePlan(StatefulNode(node) if touches_state else node)


def _template(config: TemplateConfig, site: NodeSite) -> Template:
    if (config.template is None) == (config.template_file is None):
        message = "a template node needs 'template' or 'template_file', one of them"
        site.report("flow.bad_value", (), message)
        return site.template("", name="", is_html=False)
    is_html = config.escape == "html"
    if config.template is not None:
        name = ".".join(map(str, (*site.path, "template")))
        return site.template(config.template, "template", name=name, is_html=is_html)
    found = site.template_file(config.template_file or "", "template_file")
    if found is None:
        return site.template("", name="", is_html=False)
    path, text = found
    is_html |= config.escape is None and path.endswith(HTML_SUFFIX)
    return site.template(text, "template_file", name=path, is_html=is_html)


TEMPLATE = NodeSpec(
    type="template",
    summary="Renders a Handlebars template to text.",
    config=TemplateConfig,
    build=build_template,
    value_name="template_result",
)
