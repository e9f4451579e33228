"""`secrets.NAME` in configs of calls that leave the process (SPEC 5): read late, shown to nobody.

In: a rendering and a step. Out: the filled-in value for the call itself, and a `UsedSecrets` that
keeps the values out of everything else. Refuses (PermanentError) a secret that there is not, the
use of `secrets` as a whole, and more than 16 of them in a step.

A config that reads a secret is rendered until every name it asks for is loaded, like `state`; the
scope knows `secrets` only meanwhile. An error of such a rendering says its reason but not its text,
which may quote a value, whole, cut or changed. Errors of the call and what it answers are searched
for the values instead: their texts are worth reading.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from actors.errors import NodeError, PermanentError, TransientError, UnavailableError
from actors.nodes.filling import fill_waiting
from actors.nodes.redaction import Redactor
from actors.nodes.rendering import Rendering
from actors.nodes.site import SECRETS
from actors.nodes.step import StepContext
from grammar import HostMap

SECRETS_MAX: Final = 16
"""Secrets that one step may use."""

_MISSING: Final = "secret.missing"


class _SecretWantedError(Exception):
    """The rendering read a secret that is not loaded. Never leaves this module."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _SecretsView(HostMap):
    """One rendering's view of the secrets loaded so far."""

    __slots__ = ("_loaded",)

    def __init__(self, loaded: Mapping[str, str]) -> None:
        self._loaded = loaded

    def get(self, key: str) -> Any:
        """Give the value, or ask for it to be loaded."""
        value = self._loaded.get(key)
        if value is None:
            raise _SecretWantedError(key)
        return value

    def contains(self, key: str) -> bool:
        """Tell of a secret that there is; of one that there is not by failing, as `get` does."""
        return self.get(key) is not None

    def set(self, key: str, value: Any) -> None:
        """Refuse: a flow reads secrets and does not make them."""
        del value
        raise PermanentError(f"secrets.{key} cannot be set by a flow", reason="secret.read_only")

    def remove(self, key: str) -> None:
        """Refuse, as `set` does."""
        self.set(key, None)


@dataclass(frozen=True)
class UsedSecrets:
    """The secrets that went into one call."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Value by name; empty where the config reads none."""
    made: tuple[str, ...] = field(default=(), repr=False)
    """What else would give them away."""

    def with_values(self, more: Iterable[str]) -> "UsedSecrets":
        """Add what the call carries that was made of them, such as its credentials."""
        return UsedSecrets(self.values, (*self.made, *more)) if self.values else self

    def redact(self, text: str) -> str:
        """Take the values out of a text, in each form a request gives them."""
        return self._redactor.redact(text)

    def are_in(self, text: str) -> bool:
        """Tell whether a text would give one of them away."""
        return bool(self.values) and self.redact(text) != text

    def mask(self, answer: Any) -> Any:
        """Take the values out of a JSON value that came back: a service may repeat its request."""
        return self._redactor.mask(answer) if self.values else answer

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor([*self.values.values(), *self.made])

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Raise what a call raises without the values in its text."""
        if not self.values:
            yield
            return
        try:
            yield
        except NodeError as error:
            # Not chained: a cause's text is the very thing that is not to be seen.
            raise _reworded(error, self.redact(str(error))) from None

    @contextmanager
    def withholding(self) -> Iterator[None]:
        """Raise what building a request raises without its text: it may quote any part of it."""
        if not self.values:
            yield
            return
        try:
            yield
        except NodeError as error:
            raise _withheld(error, self.values) from None


NO_SECRETS: Final = UsedSecrets()


async def fill_with_secrets(rendering: Rendering, context: StepContext) -> tuple[Any, UsedSecrets]:
    """Render a call's config, loading the state and the secrets that it reads.

    PermanentError (``secret.missing``) names the secret that there is not and how to store it.
    """
    if SECRETS not in rendering.names:
        return await fill_waiting(rendering, context), NO_SECRETS
    loaded: dict[str, str] = {}
    while True:
        context.scope[SECRETS] = _SecretsView(loaded)
        try:
            return await fill_waiting(rendering, context), UsedSecrets(loaded)
        except _SecretWantedError as wanted:
            name = wanted.name
        except NodeError as error:
            raise _withheld(error, loaded) from None
        finally:
            del context.scope[SECRETS]
        if len(loaded) >= SECRETS_MAX:
            limit = f"a step may use {SECRETS_MAX} secrets"
            raise PermanentError(limit, reason="secret.limit")
        loaded[name] = await _load(context, name)


async def _load(context: StepContext, name: str) -> str:
    value = await context.world.secrets.get(context.tenant, name)
    if value is None:
        message = (
            f"tenant {context.tenant} has no secret {name!r}; store it with:"
            f" greentic-events secret set {context.tenant} {name}"
        )
        raise PermanentError(message, reason=_MISSING)
    return value


def _withheld(error: NodeError, used: Mapping[str, str]) -> NodeError:
    if not used or isinstance(error, UnavailableError):
        return error
    names = ", ".join(f"secrets.{name}" for name in sorted(used))
    text = f"the config that reads {names} cannot be filled in; details are withheld"
    return _reworded(error, text)


def _reworded(error: NodeError, text: str) -> NodeError:
    if isinstance(error, UnavailableError):
        return UnavailableError(text, retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, TransientError):
        after = error.retry_after_seconds
        return TransientError(text, reason=error.reason, retry_after_seconds=after)
    return PermanentError(text, reason=error.reason)
