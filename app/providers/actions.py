"""The actions of all enabled providers, as flows call them.

In: a request by names. Out: the provider's receipt. Refuses providers that are off, actions that
they do not have, and arguments that the action's model refuses; the texts name the argument and the
rule and never repeat a value. What a service says of our own credentials is shown to nobody.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from actors.errors import PermanentError
from actors.ports import ActionRequest
from app.providers.catalog import find_provider
from app.providers.option_secrets import used_by
from app.providers.provider import ActionCall, ActionSpec, OutboundProvider, Provider


class ActionDesk:
    """`actors.ports.ProviderActions` on the providers in force."""

    def __init__(
        self,
        find: Callable[[str, str], Provider | None],
        options: Callable[[str], Mapping[str, BaseModel]],
    ) -> None:
        """``find``: a provider by tenant and name; ``options``: those of a tenant."""
        self._find = find
        self._options = options

    async def perform(self, request: ActionRequest) -> Mapping[str, Any]:
        """Check the arguments and have the provider act."""
        outbound, spec = self._look_up(request)
        call = ActionCall(
            tenant=request.tenant,
            action=request.action,
            arguments=_check(spec, request),
            idempotency_key=request.idempotency_key,
            timeout_seconds=request.timeout_seconds,
        )
        secrets = used_by(self._options(request.tenant).get(request.provider))
        with secrets.guarding():
            receipt = await outbound.perform(call)
        masked: Mapping[str, Any] = secrets.mask(dict(receipt))
        return masked

    def _look_up(self, request: ActionRequest) -> tuple[OutboundProvider, ActionSpec]:
        provider, spec = (
            self._find(request.tenant, request.provider),
            find_provider(request.provider),
        )
        if provider is None or spec is None:
            raise PermanentError(f"{request.provider} is not enabled", reason="action.off")
        action = next((item for item in spec.actions if item.name == request.action), None)
        if action is None or provider.outbound is None:
            text = f"{request.provider} has no action {request.action!r}"
            raise PermanentError(text, reason="action.unknown")
        return provider.outbound, action


def _check(spec: ActionSpec, request: ActionRequest) -> BaseModel:
    # What a template left empty is as if it were not there.
    given = {name: value for name, value in request.arguments.items() if value is not None}
    try:
        return spec.arguments.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False, include_input=False)
        )
        text = f"{request.provider} {request.action}: {problems}"
        raise PermanentError(text, reason="action.bad_argument") from None
