"""Waivers, and what the checks of the controls came to."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "waivers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("gate", sa.String(length=20), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("environments", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=255), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waivers")),
    )
    op.create_index("ix_waivers_model", "waivers", ["model", "gate", "state"])
    op.create_index(op.f("ix_waivers_state"), "waivers", ["state"])
    op.create_table(
        "compliance_checks",
        sa.Column("check", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("examined", sa.Integer(), nullable=False),
        sa.Column("exceptions", sa.JSON(), nullable=False),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("check", name=op.f("pk_compliance_checks")),
    )
    op.create_table(
        "compliance_failing_models",
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("check", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("model", "check", name=op.f("pk_compliance_failing_models")),
    )
    # The rows of the overview are filled in at the first evaluation.
    op.add_column("model_summaries", sa.Column("compliance", sa.Integer(), nullable=False, server_default="-1"))
    op.create_index("ix_model_summaries_compliance_name", "model_summaries", ["compliance", "name"])
    op.create_table(
        "compliance_runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("everything", sa.Boolean(), nullable=False),
        sa.Column("evaluated", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compliance_runs")),
    )


def downgrade() -> None:
    op.drop_index("ix_model_summaries_compliance_name", "model_summaries")
    op.drop_column("model_summaries", "compliance")
    for table in ("compliance_runs", "compliance_failing_models", "compliance_checks", "waivers"):
        op.drop_table(table)
