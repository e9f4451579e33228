"""Who may use the API: whoever has a key of the very tenant in the path, on loopback too.

In: a request with ``Authorization: Bearer gte_…``. Out: its tenant. Refuses with ApiKeyError (401)
what is no key, an expired one, and one without the scope, all in the same words; with
WrongTenantError (403) the key of another tenant. The comparison takes the same time whatever is
wrong with a key (`app.stores.api_key`).
"""

from typing import Final

from starlette.requests import Request

from app.errors import ApiKeyError, WrongTenantError
from app.providers.provider import ApiKeys

_BEARER: Final = "bearer "


def allowed_tenant(request: Request, keys: ApiKeys, scope: str) -> str:
    """Give the tenant of the path, once the request has shown a key of it with this scope."""
    value = request.headers.get("authorization", "")
    token = value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else ""
    owner = keys.find_tenant(token, scope) if token else None
    if owner is None:
        raise ApiKeyError(
            f"send 'Authorization: Bearer KEY' with a key that may {scope}:"
            f" greentic-events tenant key add TENANT --scope {scope}"
        )
    tenant: str = request.path_params["tenant"]
    if owner != tenant:
        raise WrongTenantError("the API key is not this tenant's")
    return tenant
