"""The tables of the history, as the newest migration leaves them.

In: nothing. Out: SQLAlchemy tables, the same in both databases but for what finds the texts of
errors: a full-text table in SQLite, a table with a trigram index in PostgreSQL. Integers stand for
what repeats itself: a tenant, and a **kind**, which is all of what a run has in common with others
(tenant, flow, event type, status, error code). A search by any of these is a search by kinds, and
one index (kind, time) serves them all.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()
VERSION_TABLE: Final = "history_version"
KEY: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers the rows of a table by a column of exactly this type."""
TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared byte by byte, whatever language the database is made for: pages are in one order."""

META: Final = Table(
    "history_meta",
    METADATA,
    Column("identity", TEXT, nullable=False),
)
"""One row: which history it is. No two have the same identity."""
TENANTS: Final = Table(
    "history_tenants",
    METADATA,
    Column("id", Integer, Identity(), primary_key=True),
    Column("tenant", TEXT, nullable=False, unique=True),
    sqlite_autoincrement=True,
)
KINDS: Final = Table(
    "history_kinds",
    METADATA,
    Column("id", Integer, Identity(), primary_key=True),
    Column("tenant_id", Integer, nullable=False),
    Column("flow", TEXT, nullable=False),
    Column("event_type", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("error_code", TEXT, nullable=False),
    Column("has_error", Boolean, nullable=False),
    Column("is_rest", Boolean, nullable=False),
    UniqueConstraint(
        "tenant_id", "flow", "event_type", "status", "error_code", "has_error", "is_rest",
        name="history_kinds_unique",
    ),
    sqlite_autoincrement=True,
)  # fmt: skip
"""What runs have in common; a tenant with too many kinds has the rest in one of each status."""
RUNS: Final = Table(
    "history_runs",
    METADATA,
    Column("id", KEY, Identity(), primary_key=True),
    Column("finished_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("operations", BigInteger, nullable=False),
    Column("effects", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("tenant_id", Integer, nullable=False),
    Column("kind_id", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("run_id", TEXT, nullable=False),
    Column("event_id", TEXT, nullable=False),
    Column("flow_version", TEXT, nullable=False),
    Column("trigger", TEXT),
    Column("correlation_id", TEXT),
    Column("parent_run_id", TEXT),
    Column("error_node", TEXT),
    Column("error_message", TEXT),
    Column("flow", TEXT),
    Column("event_type", TEXT),
    Column("error_code", TEXT),
)
"""The last three columns are null, but where the kind is one of the rest."""
DOCUMENTS: Final = Table(
    "history_documents",
    METADATA,
    Column("run_key", KEY, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

RUNS_UNIQUE: Final = Index("history_runs_run", RUNS.c.tenant_id, RUNS.c.run_id, unique=True)
RUNS_BY_KIND: Final = Index("history_runs_kind", RUNS.c.kind_id, RUNS.c.finished_ms)
RUNS_BY_EVENT: Final = Index(
    "history_runs_event", RUNS.c.tenant_id, RUNS.c.event_id, RUNS.c.finished_ms
)


def _index_where_known(name: str, column: Column[Any]) -> Index:
    """Index a column that most runs have not: those cost nothing."""
    known = column.is_not(None)
    return Index(
        name, RUNS.c.tenant_id, column, RUNS.c.finished_ms,
        sqlite_where=known, postgresql_where=known,
    )  # fmt: skip


RUNS_BY_CORRELATION: Final = _index_where_known("history_runs_correlation", RUNS.c.correlation_id)
RUNS_BY_PARENT: Final = _index_where_known("history_runs_parent", RUNS.c.parent_run_id)

POSTGRES: Final = MetaData()
"""What is only in PostgreSQL."""
ERRORS: Final = Table(
    "history_errors",
    POSTGRES,
    Column("run_key", BigInteger, primary_key=True, autoincrement=False),
    Column("finished_ms", BigInteger, nullable=False),
    Column("tenant_id", Integer, nullable=False),
    Column("kind_id", Integer, nullable=False),
    Column("run_id", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
)
ERRORS_BY_TEXT: Final = Index(
    "history_errors_text", ERRORS.c.tenant_id, ERRORS.c.text,
    postgresql_using="gin", postgresql_ops={"text": "gin_trgm_ops"},
)  # fmt: skip

SQLITE_ERRORS: Final = (
    "CREATE VIRTUAL TABLE history_errors USING fts5("
    "who, text, tokenize='trigram case_sensitive 1', columnsize=0)"
)
"""What is only in SQLite: ``rowid`` is the run's key, ``who`` three characters for its tenant."""


def row_columns() -> list[str]:
    """Name the columns of a run but for its key, in the table's order."""
    return [column.name for column in RUNS.c if column.name != "id"]
