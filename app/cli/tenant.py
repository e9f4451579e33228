"""``greentic-events tenant …``: tenants, and what belongs to them.

In: a tenant. Out: what can be done with it, and the nouns below it. Refuses nothing of its own.
"""

import typer

from app.cli.creds import creds_app
from app.cli.tenant_inventory import inventory_command
from app.cli.tenant_key import tenant_key_app
from app.cli.tenant_records import add_record_commands
from app.cli.tenant_usage import usage_command


def tenant_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Manage tenants, and what belongs to them.", no_args_is_help=True)
    add_record_commands(app)
    app.add_typer(tenant_key_app(), name="key")
    app.add_typer(creds_app(), name="creds")
    app.command("usage")(usage_command)
    app.command("inventory")(inventory_command)
    return app
