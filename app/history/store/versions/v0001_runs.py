"""The first tables: tenants, kinds, runs, documents, and what finds the texts of errors."""

import secrets
from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

_IDENTITY_BYTES: Final = 8
_KEY: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table("history_meta", sa.Column("identity", _TEXT, nullable=False))
    meta = sa.table("history_meta", sa.column("identity"))
    op.execute(meta.insert().values(identity=secrets.token_hex(_IDENTITY_BYTES)))
    op.create_table(
        "history_tenants",
        sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True),
        sa.Column("tenant", _TEXT, nullable=False, unique=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "history_kinds",
        sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        *(
            sa.Column(name, _TEXT, nullable=False)
            for name in ("flow", "event_type", "status", "error_code")
        ),
        sa.Column("has_error", sa.Boolean(), nullable=False),
        sa.Column("is_rest", sa.Boolean(), nullable=False),
        sa.UniqueConstraint(
            "tenant_id", "flow", "event_type", "status", "error_code", "has_error", "is_rest",
            name="history_kinds_unique",
        ),
        sqlite_autoincrement=True,
    )  # fmt: skip
    _create_runs()
    op.create_table(
        "history_documents",
        sa.Column("run_key", _KEY, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    if op.get_context().dialect.name == "postgresql":
        _create_errors_in_postgresql()
    else:
        op.execute(
            "CREATE VIRTUAL TABLE history_errors USING fts5("
            "who, text, tokenize='trigram case_sensitive 1', columnsize=0)"
        )


def _create_runs() -> None:
    longs = (
        "finished_ms", "started_ms", "sequence", "operations", "effects", "bytes", "events",
        "attempt",
    )  # fmt: skip
    optional = (
        "trigger", "correlation_id", "parent_run_id", "error_node", "error_message", "flow",
        "event_type", "error_code",
    )  # fmt: skip
    op.create_table(
        "history_runs",
        sa.Column("id", _KEY, sa.Identity(), primary_key=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in longs),
        *(sa.Column(n, sa.Integer(), nullable=False) for n in ("tenant_id", "kind_id", "position")),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        *(sa.Column(n, _TEXT, nullable=False) for n in ("run_id", "event_id", "flow_version")),
        *(sa.Column(name, _TEXT) for name in optional),
    )
    op.create_index("history_runs_run", "history_runs", ["tenant_id", "run_id"], unique=True)
    op.create_index("history_runs_kind", "history_runs", ["kind_id", "finished_ms"])
    op.create_index("history_runs_event", "history_runs", ["tenant_id", "event_id", "finished_ms"])
    for name, column in (
        ("history_runs_correlation", "correlation_id"),
        ("history_runs_parent", "parent_run_id"),
    ):
        known = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            name, "history_runs", ["tenant_id", column, "finished_ms"],
            sqlite_where=known, postgresql_where=known,
        )  # fmt: skip


def _create_errors_in_postgresql() -> None:
    op.create_table(
        "history_errors",
        sa.Column("run_key", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("finished_ms", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind_id", sa.Integer(), nullable=False),
        sa.Column("run_id", _TEXT, nullable=False),
        sa.Column("text", _TEXT, nullable=False),
    )
    op.execute(
        "CREATE INDEX history_errors_text ON history_errors USING gin"
        " (tenant_id, text gin_trgm_ops)"
    )
    # Documents are compressed already. Rows are hardly ever changed, but often counted by their
    # index alone, which wants to know soon that all may see them.
    op.execute("ALTER TABLE history_documents ALTER COLUMN body SET STORAGE EXTERNAL")
    op.execute(
        "ALTER TABLE history_runs SET"
        " (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)"
    )
