"""`event` with a provider: calls an action of it, like `send` of an e-mail provider.

In: `provider`, `action`, and the action's own arguments beside them. Out: the provider's receipt is
the value. Every call carries the step's effect key, the same when the step is repeated. Refuses
providers and actions that the bundle does not have, and arguments that the action does not take.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from actors.diagnostics import did_you_mean
from actors.ids import effect_key
from actors.nodes.output import check_output
from actors.nodes.rendering import (
    TAG,
    Constant,
    RenderedMap,
    Rendering,
    TemplateText,
    names_of,
)
from actors.nodes.resources import ActionForm
from actors.nodes.secret_access import fill_with_secrets
from actors.nodes.site import SECRETS, NodeSite
from actors.nodes.spec import NodePlan
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from actors.ports import ActionRequest

_NO_HTML: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class ActionNode:
    """Fills the arguments in and has the provider act."""

    provider: str
    action: str
    arguments: Rendering

    async def step_waiting(self, context: StepContext) -> Advance:
        """Act; TransientError or PermanentError as the provider says."""
        arguments, secrets = await fill_with_secrets(self.arguments, context)
        if SECRETS not in self.arguments.names:
            context.given = {"provider": self.provider, "action": self.action, **arguments}
        request = ActionRequest(
            tenant=context.tenant,
            provider=self.provider,
            action=self.action,
            arguments=arguments,
            idempotency_key=effect_key(context.run_id, context.step_id, context.iteration),
        )
        with secrets.guarding():
            receipt = await context.world.actions.perform(request)
        return Advance(check_output(secrets.mask(dict(receipt))))


def build_action(
    provider: str, action: str, arguments: Mapping[str, Any], site: NodeSite
) -> NodePlan:
    """Compile the arguments and check what is known of the action."""
    form = _find_form(provider, action, site)
    html = _NO_HTML if form is None else form.html_arguments
    rendering = _compile(arguments, html, site.with_secrets())
    if form is not None:
        _check_arguments(form, arguments, rendering, site)
    return NodePlan(ActionNode(provider, action, rendering))


def _find_form(provider: str, action: str, site: NodeSite) -> ActionForm | None:
    known = site.resources.actions
    if known is None:
        return None
    actions = known.get(provider)
    if actions is None:
        message = f"provider {provider!r} is not enabled in this bundle"
        hint = did_you_mean(provider, known) or "give its options in answers.json"
        site.report("flow.unknown_provider", ("provider",), message, hint=hint)
        return None
    form = actions.get(action)
    if form is None:
        message = f"{provider} has no action {action!r}"
        hint = did_you_mean(action, actions) or f"it has {', '.join(actions) or 'none'}"
        site.report("flow.unknown_action", ("action",), message, hint=hint)
    return form


def _compile(arguments: Mapping[str, Any], html: frozenset[str], site: NodeSite) -> Rendering:
    items = tuple((key, _part(key, value, html, site)) for key, value in arguments.items())
    if all(item.is_constant for _, item in items):
        return Constant(dict(arguments))
    return RenderedMap(items, names_of([item for _, item in items]))


def _part(key: str, value: Any, html: frozenset[str], site: NodeSite) -> Rendering:
    if key in html and isinstance(value, str) and TAG in value:
        template = site.template(value, key, name=key, is_html=True)
        return TemplateText(template, template.names)
    return site.rendering(value, key)


def _check_arguments(
    form: ActionForm, arguments: Mapping[str, Any], rendering: Rendering, site: NodeSite
) -> None:
    """Check names always, and values where no template is in any of them."""
    fields = form.arguments.model_fields
    for name in arguments:
        if name not in fields:
            hint = did_you_mean(name, fields) or f"it takes {', '.join(fields)}"
            message = f"the action has no argument {name!r}"
            site.report("flow.unknown_key", (name,), message, hint=hint)
    for name, field in fields.items():
        if field.is_required() and name not in arguments:
            site.report("flow.missing_key", (), f"the action needs {name!r}")
    if rendering.is_constant and not site.findings:
        _check_values(form, arguments, site)


def _check_values(form: ActionForm, arguments: Mapping[str, Any], site: NodeSite) -> None:
    try:
        form.arguments.model_validate(dict(arguments))
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            message = item["msg"].removeprefix("Value error, ")
            site.report("flow.bad_value", tuple(item["loc"]), message)
