"""``greentic-events tenant creds operator``: what a cluster that trusts an operator is made with.

In: a folder. Out: in it the operator's seed, what its servers are configured with, and the
platform's own login. Refuses to write over any of them: a new operator would lock everybody out.
"""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from app.accounts.claims import our_credentials, server_text
from app.accounts.login import new_user_key
from app.accounts.signing import Operator, new_operator_seed
from app.bus.bus_accounts import PLATFORM_ACCOUNT
from app.cli.output import say
from app.errors import CommandError

ACCOUNTS_DIR: Final = "/var/lib/nats/accounts"


def creds_operator(
    folder: Annotated[Path, typer.Argument(help="Where to write; it is made if need be.")],
    *,
    accounts_dir: Annotated[
        str, typer.Option("--accounts-dir", help="Where servers keep the accounts they are told.")
    ] = ACCOUNTS_DIR,
) -> None:
    """Make an operator, for a cluster of NATS servers that takes signed logins.

    operator.seed signs everything: keep it off the servers. trust.conf belongs beside the servers'
    cluster.conf (deploy/nats), platform.creds is nats.credentials_file of greentic-events.
    """
    operator_seed = new_operator_seed()
    operator = Operator(operator_seed)
    texts = {
        "operator.seed": f"{operator_seed}\n",
        "trust.conf": server_text(operator, accounts_dir),
        "platform.creds": our_credentials(operator, PLATFORM_ACCOUNT, new_user_key()),
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if taken := [name for name in texts if (folder / name).exists()]:
        raise CommandError(f"{folder / taken[0]} is there already, and is not written over")
    for name, text in texts.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        say(str(folder / name))
