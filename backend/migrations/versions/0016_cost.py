"""Usage, cost by the day, bills, budgets and what was noticed about them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = (
    "cost_anomalies",
    "cost_bill_days",
    "cost_bills",
    "cost_budget_notices",
    "cost_budgets",
    "cost_jobs",
    "cost_days",
    "cost_dirty_days",
    "cost_months",
    "usage_hours",
    "usage_meters",
    "usage_records",
)


def upgrade() -> None:
    op.create_table(
        "cost_anomalies",
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("grown", sa.JSON(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model", "day", name=op.f("pk_cost_anomalies")),
    )
    op.create_index("ix_cost_anomalies_day", "cost_anomalies", ["day", "model"], unique=False)
    op.create_table(
        "cost_bill_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "provider", "model", "version", "environment", "service", name=op.f("pk_cost_bill_days")
        ),
    )
    op.create_index(op.f("ix_cost_bill_days_month"), "cost_bill_days", ["month"], unique=False)
    op.create_table(
        "cost_bills",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("imported_by", sa.String(length=255), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("month", "provider", name=op.f("pk_cost_bills")),
    )
    op.create_table(
        "cost_budget_notices",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=190), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("mark", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "month", "mark", name=op.f("pk_cost_budget_notices")),
    )
    op.create_table(
        "cost_budgets",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=190), nullable=False),
        sa.Column("monthly", sa.BigInteger(), nullable=False),
        sa.Column("enforce", sa.Boolean(), nullable=False),
        sa.Column("set_by", sa.String(length=255), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_cost_budgets")),
    )
    op.create_table(
        "cost_jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_jobs")),
    )
    op.create_index(op.f("ix_cost_jobs_finished_at"), "cost_jobs", ["finished_at"], unique=False)
    op.create_table(
        "cost_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("activity", sa.String(length=20), nullable=False),
        sa.Column("resource", sa.String(length=63), nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(length=190), nullable=False),
        sa.Column("cost_centre", sa.String(length=50), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=True),
        sa.Column("pricing_unit", sa.String(length=30), nullable=False),
        sa.Column("list_cost", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day",
            "model",
            "version",
            "environment",
            "activity",
            "resource",
            "sku",
            "origin",
            "shared",
            name=op.f("pk_cost_days"),
        ),
    )
    op.create_index("ix_cost_days_model", "cost_days", ["model", "day"], unique=False)
    op.create_index("ix_cost_days_owner", "cost_days", ["owner", "day"], unique=False)
    op.create_table(
        "cost_dirty_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_cost_dirty_days")),
    )
    op.create_table(
        "cost_months",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_cost_months")),
    )
    op.create_table(
        "usage_hours",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("activity", sa.String(length=20), nullable=False),
        sa.Column("resource", sa.String(length=20), nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour", "model", "version", "environment", "activity", "resource", "sku", name=op.f("pk_usage_hours")
        ),
    )
    op.create_table(
        "usage_meters",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_meters")),
    )
    op.create_index(op.f("ix_usage_meters_read_at"), "usage_meters", ["read_at"], unique=False)
    op.create_table(
        "usage_records",
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("activity", sa.String(length=20), nullable=False),
        sa.Column("resource", sa.String(length=20), nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_usage_records")),
    )
    op.create_index(op.f("ix_usage_records_received_at"), "usage_records", ["received_at"], unique=False)
    # -1 until the first figures are there; what a model costs this month, in cents.
    op.add_column("model_summaries", sa.Column("monthly_cost", sa.BigInteger(), nullable=False, server_default="-1"))
    op.create_index("ix_model_summaries_monthly_cost_name", "model_summaries", ["monthly_cost", "name"])


def downgrade() -> None:
    op.drop_index("ix_model_summaries_monthly_cost_name", "model_summaries")
    op.drop_column("model_summaries", "monthly_cost")
    for table in reversed(TABLES):
        op.drop_table(table)
