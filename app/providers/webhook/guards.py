"""Who may post what: a signature entry for each event type, or the global secret for the rest.

In: a request as it came. Out: the name of the key that signed it, or None where nothing is asked
for. Refuses with SignatureError what is not signed as configured, with WrongTenantError an API key
of another tenant, and in env ``prod`` what nothing guards (SPEC 6, 12.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from actors.ports import Clock
from app.errors import SignatureError, WrongTenantError
from app.providers.provider import ApiKeys, InboundRequest
from app.providers.signatures.scheme import Scheme
from app.providers.webhook.options import (
    API_KEY_NAME,
    GLOBAL_ALGORITHM,
    GLOBAL_NAME,
    WebhookOptions,
)

PROD_ENV: Final = "prod"
PUBLISH_SCOPE: Final = "publish"
"""The scope that an API key needs for the batch route."""

_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Guard:
    """A scheme with the names that its secrets have in ``metadata.signature``."""

    algorithm: str
    scheme: Scheme
    key_names: tuple[str, ...]

    def verify(self, request: InboundRequest, now_seconds: float) -> str:
        """Give the name of the key that signed the request; SignatureError if none did.

        The text tells why in the scheme's words, which hold nothing of what would be right.
        """
        verdict = self.scheme.judge(request, now_seconds=now_seconds)
        if verdict.key is None:
            raise SignatureError(f"{self.algorithm}: {verdict.detail or verdict.reason}")
        return self.key_names[verdict.key]


class Guards:
    """All guards of one deployment's webhooks."""

    __slots__ = ("_api_keys", "_by_token", "_clock", "_env", "_is_open", "_of_all", "headers")

    def __init__(
        self, options: WebhookOptions, *, env: str, clock: Clock, api_keys: ApiKeys
    ) -> None:
        self._env = env
        self._clock = clock
        self._api_keys = api_keys
        self._is_open = options.allow_unsigned or env != PROD_ENV
        self._by_token = {
            name: Guard(entry.algorithm, entry.build_scheme(), _key_names(name, entry.all_secrets))
            for name, entry in options.signatures.items()
        }
        scheme = options.build_global_scheme()
        self._of_all = None if scheme is None else Guard(GLOBAL_ALGORITHM, scheme, (GLOBAL_NAME,))
        self.headers = _headers_of(self._by_token, scheme)
        """The lower-case names of all headers that a signature is read from."""

    def entry_of(self, event_type: str) -> Guard | None:
        """Give the guard that this type has for itself."""
        return self._by_token.get(event_type.partition(".")[0])

    def verify_event(self, request: InboundRequest) -> str | None:
        """Check a request for one event, by the type in its URL."""
        guard = self._by_token.get(request.event_type.partition(".")[0]) or self._of_all
        if guard is not None:
            return guard.verify(request, self._clock.now_ms() / 1000)
        if not self._is_open:
            raise SignatureError(
                "no signature is configured for this event type, and env prod takes signed events"
            )
        return None

    def verify_batch(self, request: InboundRequest) -> str | None:
        """Check a batch: by an API key of the tenant, or by the global secret.

        Where neither is configured or given, only envs other than ``prod`` go on.
        """
        token = _bearer_token(request.headers)
        if token is not None:
            tenant = self._api_keys.find_tenant(token, PUBLISH_SCOPE, request.client())
            if tenant == request.tenant:
                return API_KEY_NAME
            if tenant is not None:
                raise WrongTenantError("the API key is not this tenant's")
        if self._of_all is not None:
            return self._of_all.verify(request, self._clock.now_ms() / 1000)
        if token is not None:
            raise SignatureError("there is no such API key, or it may not publish")
        if self._env == PROD_ENV:
            raise SignatureError("batches need an API key or the signature of the global secret")
        return None

    def warnings(self, *, allow_unsigned: bool) -> tuple[str, ...]:
        """Say what anybody may post, or what nobody can, in a sentence."""
        if self._of_all is not None or allow_unsigned:
            return ()
        rest = f" but for {', '.join(sorted(self._by_token))}" if self._by_token else ""
        if self._env == PROD_ENV:
            text = (
                f"webhooks have no secret{rest}: in env prod every other one is refused"
                " (set secret_header and secret_key, an entry of signatures, or allow_unsigned)"
            )
            return (text,)
        return (f"webhooks have no secret{rest}: anybody who reaches the port can post events",)


def _key_names(name: str, secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Name each secret: ``github``, or ``github#1``, ``github#2`` where there are several."""
    if len(secrets) == 1:
        return (name,)
    return tuple(f"{name}#{position}" for position in range(1, len(secrets) + 1))


def _headers_of(guards: Mapping[str, Guard], scheme: Scheme | None) -> frozenset[str]:
    schemes = [guard.scheme for guard in guards.values()]
    if scheme is not None:
        schemes.append(scheme)
    return frozenset[str]().union(*(each.headers for each in schemes))


def _bearer_token(headers: Mapping[str, str]) -> str | None:
    """Give the token of ``Authorization: Bearer …``, maybe an empty one; else None."""
    value = headers.get("authorization", "")
    if value[: len(_BEARER)].lower() != _BEARER:
        return None
    return value[len(_BEARER) :].strip()
