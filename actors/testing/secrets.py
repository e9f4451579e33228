"""In-memory twin of the Secrets port.

In: tenant and name. Out: the value a test or a try gave. It refuses the names that the store does.
"""

import re
from collections.abc import Mapping

from actors.errors import PermanentError
from actors.subjects import check_token

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


class MemorySecrets:
    """Twin of Secrets. ``asked`` remembers what was looked for."""

    def __init__(self, values: Mapping[tuple[str, str], str] | None = None) -> None:
        self._values = dict(values or {})
        self.asked: list[tuple[str, str]] = []

    async def get(self, tenant: str, name: str) -> str | None:
        """Give the secret, or None where there is none of that name."""
        check_token(tenant, "tenant")
        if not _NAME.fullmatch(name):
            raise PermanentError(f"{name[:200]!r} is no name of a secret", reason="secret.name")
        self.asked.append((tenant, name))
        return self._values.get((tenant, name))

    async def set(self, tenant: str, name: str, value: str) -> None:
        """Put a secret in."""
        self._values[tenant, name] = value
