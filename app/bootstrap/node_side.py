"""The ports of flows' nodes that are more than an adapter of the bus.

In: options, secrets, providers. Out: `NodePorts`. The script processes it starts are closed by the
stack it is given.
"""

from contextlib import AsyncExitStack

from actors.ports import Observer
from app.bootstrap.bus_side import NodePorts
from app.bootstrap.options import StartOptions
from app.bootstrap.providers import Providers
from app.providers.actions import ActionDesk
from app.stores.secret_chain import SecretChain
from app.stores.secrets import KvSecrets
from app.worker.script_pool import MIB, ScriptProcessPool


def build_nodes(
    options: StartOptions,
    secrets: KvSecrets,
    providers: Providers,
    observer: Observer,
    stack: AsyncExitStack,
) -> NodePorts:
    """Give them; no process is started before a script needs one."""
    chain = SecretChain.build(secrets, options.secrets, options.environment or {}, observer)
    scripts = ScriptProcessPool(
        observer,
        processes=options.script_processes,
        memory_bytes=options.script_memory_mib * MIB,
    )
    stack.push_async_callback(scripts.close)
    actions = ActionDesk(providers.find, providers.options)
    return NodePorts(actions=actions, scripts=scripts, secrets=chain)
