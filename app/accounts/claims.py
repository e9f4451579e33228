"""What is signed about the operator, accounts and logins: the claims that nats-server reads.

In: an operator's key, accounts, logins. Out: JWTs; a login's credentials file. Refuses nothing:
what an account may do is `grants`' business.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.accounts.grants import CONNECTIONS_MAX, SUBSCRIPTIONS_MAX, TenantAccount
from app.accounts.login import BusLogin, UserKey
from app.accounts.signing import Operator
from app.bus.bus_accounts import PLATFORM_ACCOUNT, SYSTEM_ACCOUNT, TENANT_EVENTS, quoted

_ANY: Final = -1
_EVERYBODY: Final = "*"
_MARGIN_SECONDS: Final = 24 * 3600
"""Clocks of those who sign differ, and a tenant comes back a month after its deletion at least."""
_KINDS: Final = ("service", "stream")


def operator_token(operator: Operator) -> str:
    """Sign the operator by itself: what a server's configuration trusts."""
    system = operator.account(SYSTEM_ACCOUNT).public_key
    claims = {"type": "operator", "system_account": system}
    return operator.sign(operator.public_key, "greentic-events", claims, exp=None)


def system_token(operator: Operator) -> str:
    """Sign the server's own account."""
    return _account(operator, SYSTEM_ACCOUNT, {"limits": _limits()})


def platform_token(operator: Operator) -> str:
    """Sign the platform's account: it owns JetStream, and what it exports never changes."""
    exports = [{"name": kind, "subject": TENANT_EVENTS, "type": kind} for kind in _KINDS]
    limits = _limits() | dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), _ANY)
    return _account(operator, PLATFORM_ACCOUNT, {"exports": exports, "limits": limits})


def tenant_token(operator: Operator, account: TenantAccount) -> str:
    """Sign a tenant's account, and with it which of its logins are revoked.

    A login that was signed before all that there is a record of is revoked too: it is of an earlier
    tenant with the same id, whose records were erased, and an account's key is always the same.
    """
    platform = operator.account(PLATFORM_ACCOUNT).public_key
    imports = [
        {"name": kind, "subject": account.imported, "account": platform, "type": kind}
        for kind in _KINDS
    ]
    revoked = {login.public_key: (login.revoked_ms or 0) // 1000 + 1 for login in account.revoked}
    if known := [login.created_ms for login in (*account.logins, *account.revoked)]:
        revoked[_EVERYBODY] = min(known) // 1000 - _MARGIN_SECONDS
    limits = _limits() | {"conn": CONNECTIONS_MAX, "subs": SUBSCRIPTIONS_MAX}
    claims = {"imports": imports, "limits": limits, "revocations": revoked}
    return _account(operator, account.name, claims)


def login_credentials(operator: Operator, env: str, login: BusLogin, key: UserKey) -> str:
    """Write the file that the owner of a tenant's login uses."""
    account = TenantAccount(env, login.tenant, (login,))
    permissions = {
        "pub": {"allow": account.publish_allowed, "deny": account.publish_denied},
        "sub": {"allow": account.subscribe_allowed},
    }
    exp = None if login.expires_ms is None else login.expires_ms // 1000
    return _credentials(operator, account.name, key, permissions, exp=exp)


def our_credentials(operator: Operator, account: str, key: UserKey) -> str:
    """Write the file with which the platform, or its steward, logs in to its own account."""
    return _credentials(operator, account, key, {}, exp=None)


def _account(operator: Operator, name: str, claims: Mapping[str, Any]) -> str:
    subject = operator.account(name).public_key
    return operator.sign(subject, name, {**claims, "type": "account"}, exp=None)


def _credentials(
    operator: Operator,
    account: str,
    key: UserKey,
    permissions: Mapping[str, Any],
    *,
    exp: int | None,
) -> str:
    unlimited = {"subs": _ANY, "data": _ANY, "payload": _ANY}
    claims = {**permissions, **unlimited, "type": "user"}
    token = operator.account(account).sign(key.public_key, account, claims, exp=exp)
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{key.seed}\n------END USER NKEY SEED------\n"
    )


def _limits() -> dict[str, Any]:
    names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
    return dict.fromkeys(names, _ANY) | {"wildcards": True}


def server_text(operator: Operator, resolver_dir: str) -> str:
    """Write what each server of a cluster is configured with: whom it trusts, and who it is."""
    system = operator.account(SYSTEM_ACCOUNT).public_key
    platform = operator.account(PLATFORM_ACCOUNT).public_key
    return (
        "# Written by greentic-events: whom this server trusts. Nothing in it is secret.\n"
        f"operator: {operator_token(operator)}\n"
        f"system_account: {system}\n"
        f'resolver {{ type: full, dir: {quoted(resolver_dir)}, interval: "2m" }}\n'
        "resolver_preload {\n"
        f"  {system}: {system_token(operator)}\n"
        f"  {platform}: {platform_token(operator)}\n"
        "}\n"
    )
