"""Batch: runs, backfills, and how far schedules have been followed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ACTIVE = "state IN ('pending', 'running') AND cause <> 'trial'"


def upgrade() -> None:
    op.create_table(
        "backfills",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("scored_by", sa.Integer(), nullable=True),
        sa.Column("parallelism", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("days", sa.JSON(), nullable=False),
        sa.Column("skipped", sa.JSON(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfills")),
    )
    op.create_index("ix_backfills_place", "backfills", ["environment", "model", "id"], unique=False)
    op.create_index(op.f("ix_backfills_state"), "backfills", ["state"], unique=False)
    op.create_table(
        "batch_schedules",
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("followed_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("environment", "model", name=op.f("pk_batch_schedules")),
    )
    op.create_table(
        "batch_runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cause", sa.String(length=10), nullable=False),
        sa.Column("backfill_id", sa.String(length=36), nullable=True),
        sa.Column("deployment_id", sa.String(length=36), nullable=True),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=True),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("rejected", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("input_digest", sa.String(length=64), nullable=True),
        sa.Column("output_digest", sa.String(length=64), nullable=True),
        sa.Column("model_seconds", sa.Float(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["backfill_id"], ["backfills.id"], name=op.f("fk_batch_runs_backfill_id_backfills")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_runs")),
    )
    op.create_index(
        "uq_batch_runs_active",
        "batch_runs",
        ["environment", "model", "day"],
        unique=True,
        sqlite_where=sa.text(ACTIVE),
        postgresql_where=sa.text(ACTIVE),
    )
    op.create_index("uq_batch_runs_scheduled", "batch_runs", ["environment", "model", "scheduled_for"], unique=True)
    op.create_index("ix_batch_runs_place", "batch_runs", ["environment", "model", "id"], unique=False)
    op.create_index("ix_batch_runs_day", "batch_runs", ["environment", "model", "day"], unique=False)
    for column in ("backfill_id", "deployment_id", "state"):
        op.create_index(op.f(f"ix_batch_runs_{column}"), "batch_runs", [column], unique=False)
