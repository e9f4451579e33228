"""Where each store of an env has what is a tenant's, and where it has nothing.

In: an env and a tenant. Out: for each kind of stream which it is, and which subjects in it are the
tenant's. Refuses names that are no tokens.

Every stream that `app.control.streams` describes has its line here, or the erasure of a tenant
would leave something behind: a test compares the two.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from actors.subjects import check_token, dead_letters_before, dead_letters_of
from app.control import names


class Kind(Enum):
    """How a store holds what is a tenant's."""

    STREAM = "stream"
    """The whole stream is the tenant's."""
    SUBJECTS = "subjects"
    """In messages under subjects of the tenant's."""
    OBJECTS = "objects"
    """In objects whose names begin with the tenant."""
    KEPT = "kept"
    """What it holds of a tenant outlives the tenant."""
    NOTHING = "nothing"
    """No tenant is named in it."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind of store, as it concerns one tenant."""

    store: str
    """For people and reports."""
    kind: Kind
    stream: str
    """The name of its stream; of a store in shards, what the names begin with."""
    subjects: tuple[str, ...] = ()
    """The tenant's, with wildcards."""
    bucket: str = ""
    """Of objects."""
    is_sharded: bool = False

    def is_in(self, stream: str) -> bool:
        """Tell whether a stream of this name is this one, or one of its shards."""
        if not self.is_sharded:
            return stream == self.stream
        return stream.startswith(self.stream) and bool(_SHARD.fullmatch(stream, len(self.stream)))


SHARDED: Final = ("work", "journal", "runs")

_SHARD: Final = re.compile(r"[0-9]+")


def holdings(env: str, tenant: str) -> tuple[Holding, ...]:
    """Say of every stream of an env what of it is the tenant's."""
    check_token(env, "env")
    check_token(tenant, "tenant")
    place = f"{env}.{tenant}"
    return (
        _one("events", Kind.STREAM, names.events_stream(env, tenant)),
        *(_sharded(root, env, tenant) for root in SHARDED),
        _one(
            "dead_letters",
            Kind.SUBJECTS,
            names.dead_stream(env),
            (dead_letters_before(env, tenant), dead_letters_of(env, tenant)),
        ),
        _one(
            "egress",
            Kind.SUBJECTS,
            names.egress_stream(env),
            (f"greentic.messaging.egress.{place}.>",),
        ),
        _one("audit", Kind.KEPT, names.audit_stream(env), (f"greentic.audit.{place}.>",)),
        _one(
            "usage",
            Kind.SUBJECTS,
            names.usage_stream(env),
            (names.usage_windows(env, f"{tenant}.>"),),
        ),
        _objects("blobs", names.blobs_bucket(env)),
        _objects("versions", names.versions_bucket(env)),
        # Named by their content and shared: whoever deploys looks after them.
        _one("bundles", Kind.NOTHING, names.object_stream(names.bundles_bucket(env))),
        _keys("state", names.state_bucket(env), tenant),
        _keys("secrets", names.secrets_bucket(env), tenant),
        _keys("timers", names.timers_bucket(env), tenant),
        # Workers' own keys have two tokens, and a tenant may be called `worker`.
        _keys("leases", names.leases_bucket(env), tenant, below="*.*.*"),
        _keys("deployments", names.deployments_bucket(env), tenant),
        _keys("api_keys", names.api_keys_bucket(env), tenant),
        _keys("key_uses", names.key_uses_bucket(env), tenant),
        _keys("logins", names.bus_logins_bucket(env), tenant),
        _one(
            "tenants",
            Kind.KEPT,
            names.bucket_stream(names.tenants_bucket(env)),
            (f"$KV.{names.tenants_bucket(env)}.{tenant}",),
        ),
    )


def shard_subject(root: str, env: str, tenant: str) -> str:
    """Give what one of several shards listens to for a tenant (`streams.shard_subjects`)."""
    return f"greentic.{root}.{check_token(env, 'env')}.{check_token(tenant, 'tenant')}.>"


def _sharded(root: str, env: str, tenant: str) -> Holding:
    subjects = (shard_subject(root, env, tenant),)
    return Holding(root, Kind.SUBJECTS, f"{root.upper()}-{env}-", subjects, is_sharded=True)


def _objects(store: str, bucket: str) -> Holding:
    return Holding(store, Kind.OBJECTS, names.object_stream(bucket), bucket=bucket)


def _keys(store: str, bucket: str, tenant: str, below: str = ">") -> Holding:
    subjects = (f"$KV.{bucket}.{tenant}.{below}",)
    return _one(store, Kind.SUBJECTS, names.bucket_stream(bucket), subjects)


def _one(store: str, kind: Kind, stream: str, subjects: tuple[str, ...] = ()) -> Holding:
    return Holding(store, kind, stream, subjects)
