"""Processes of a fleet for tests: reports, and heartbeats on a bucket."""

import msgspec

from app.fleet.report import WorkerIdentity, WorkerReport
from app.stores.kv import KvBucket
from tests.support.kv_twin import TwinServer

BUCKET = "leases-test"


def identity(name: str, *, roles: tuple[str, ...] = ("worker",)) -> WorkerIdentity:
    """Give an identity of a chosen name."""
    return WorkerIdentity(name, "host.test", 4711, roles, "1.0")


def report(name: str, **fields: object) -> WorkerReport:
    """Give a report of a worker that has converged and serves nobody."""
    said = WorkerReport(
        id=name,
        host="host.test",
        pid=4711,
        roles=("worker",),
        version="1.0",
        started_ms=1_700_000_000_000,
        beat=1,
        acknowledged=0,
        failed={},
        failures=0,
        tenants=0,
        hot=(),
    )
    return msgspec.structs.replace(said, **fields)


def twin_bucket(server: TwinServer) -> KvBucket:
    """Give the bucket of leases of a server in memory."""
    return KvBucket(server, BUCKET)
