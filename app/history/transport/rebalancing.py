"""Who consumes which topic, and the order in which Faust learns of it.

In: the topics an app subscribes to, whether this worker is the owner. Out: its assignment. Refuses
(`ImproperlyConfigured`) global tables, which would need a reader on every worker.

All workers take the topics that any number of workers may share. One of them, the owner by lease,
has what only one may have: tables with their changelogs, every topic of an app that has tables,
exclusive topics, and Faust's leader topic. The order of the calls is Faust's hidden contract.
"""

from collections.abc import Iterable
from typing import Any

from faust.assignor.client_assignment import ClientAssignment
from faust.exceptions import ImproperlyConfigured
from faust.types import TP, AppT

from app.history.transport.bindings import StreamBinding
from app.history.transport.producer import LEADER_SUFFIX, changelogs_of


def needs_owner(app: AppT, topic: str, bindings: dict[str, StreamBinding]) -> bool:
    """Say whether only the owner may consume a topic."""
    binding = bindings.get(topic)
    is_exclusive = binding is not None and binding.is_exclusive
    return is_exclusive or topic.endswith(LEADER_SUFFIX) or bool(changelogs_of(app))


def choose(
    app: AppT, topics: Iterable[str], bindings: dict[str, StreamBinding], *, is_owner: bool
) -> set[TP]:
    """Give this worker's assignment."""
    return {TP(topic, 0) for topic in topics if is_owner or not needs_owner(app, topic, bindings)}


def refuse_global_tables(app: AppT) -> None:
    """Refuse what would be silently empty on all workers but one."""
    for table in changelogs_of(app).values():
        if table.is_global:
            raise ImproperlyConfigured(f"nats:// has no global tables: {table.name}")


def tell_assignor(app: AppT, assigned: set[TP]) -> None:
    """Let Faust's assignor say what recovery and routing ask it for."""
    by_topic = {tp.topic: [tp.partition] for tp in assigned}
    changelogs = changelogs_of(app)
    mine = {topic: parts for topic, parts in by_topic.items() if topic in changelogs}
    others = {topic: parts for topic, parts in by_topic.items() if topic not in changelogs}
    url = str(app.conf.canonical_url)
    assignor: Any = app.assignor
    # It has no other way in but a message of Kafka's group protocol.
    assignor._assignment = ClientAssignment(actives=by_topic, standbys={})  # noqa: SLF001
    assignor._active_tps = set(assigned)  # noqa: SLF001
    assignor._topic_groups = dict.fromkeys(by_topic, 0)  # noqa: SLF001
    assignor.changelog_distribution = {url: mine}
    assignor.external_topic_distribution = {url: others}


def clear_tables(app: AppT) -> None:
    """Empty the tables that live in memory: their next owner changes them from now on."""
    for table in changelogs_of(app).values():
        store = table.data
        held = getattr(store, "data", None)
        if isinstance(held, dict):
            held.clear()
            store._key_partition.clear()  # noqa: SLF001  # Faust forgets to
