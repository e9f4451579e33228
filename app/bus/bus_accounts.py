"""The accounts of a nats-server: the platform's, the server's own, and what tenants may import.

In: how the platform logs in. Out: the block of a server's configuration that has them, which reads
the tenants' accounts from a file beside it. Refuses nothing; `app.accounts` writes that file.

Within one account subjects are no wall: whoever may publish one subject can name another as the
place for the answer, and so store messages in a stream of somebody else (measured). Between
accounts nothing passes but what one exports and the other imports, and the platform exports two
things: publishing on event subjects with the stream's acknowledgement coming back, and hearing
what is published there. Each tenant's account imports its own part of them.
"""

import json
from typing import Final

from actors.subjects import EVENTS_ROOT

PLATFORM_ACCOUNT: Final = "GREENTIC"
"""Owns JetStream, and with it everything that is stored."""
SYSTEM_ACCOUNT: Final = "SYSTEM"
"""The server's own: through it the server is asked to read its configuration again."""
SYSTEM_USER: Final = "greentic-system"
TENANT_EVENTS: Final = f"{EVENTS_ROOT}.*.*.>"
"""What the platform exports: a constant, so that a new tenant does not change its account."""
FORMER_ACCOUNT: Final = "$G"
"""Where a server without accounts keeps what is stored; it cannot export anything."""
TENANTS_FILE: Final = "tenants.conf"


def accounts_text(user: str, password: str) -> str:
    """Write the accounts of a server; the platform and the system share a password."""
    return (
        f"system_account: {quoted(SYSTEM_ACCOUNT)}\n"
        "accounts {\n"
        f"  {quoted(SYSTEM_ACCOUNT)} {{\n"
        f"    users: [ {_user(SYSTEM_USER, password)} ]\n"
        "  }\n"
        f"  {quoted(PLATFORM_ACCOUNT)} {{\n"
        "    jetstream: enabled\n"
        f"    users: [ {_user(user, password)} ]\n"
        f"    exports: [ {{ service: {quoted(TENANT_EVENTS)} }},"
        f" {{ stream: {quoted(TENANT_EVENTS)} }} ]\n"
        "  }\n"
        f"  include {quoted(TENANTS_FILE)}\n"
        "}\n"
    )


def quoted(text: object) -> str:
    """Quote for the server's configuration language: JSON, but without escapes by number."""
    return json.dumps(str(text), ensure_ascii=False)


def _user(user: str, password: str) -> str:
    return f"{{ user: {quoted(user)}, password: {quoted(password)} }}"
