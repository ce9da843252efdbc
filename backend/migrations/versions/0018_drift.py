"""Drift reports and ground truth; how a model stands in the overview."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_reports",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("labels_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("labelled", sa.Integer(), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=True),
        sa.Column("data_drifted", sa.Boolean(), nullable=True),
        sa.Column("prediction_drifted", sa.Boolean(), nullable=True),
        sa.Column("performance_drifted", sa.Boolean(), nullable=True),
        sa.Column("drifted", sa.JSON(), nullable=False),
        sa.Column("reference_digest", sa.String(length=64), nullable=True),
        sa.Column("judgement", sa.JSON(), nullable=True),
        sa.Column("dashboard", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("retraining", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_reports")),
    )
    op.create_index(op.f("ix_drift_reports_place"), "drift_reports", ["model", "environment", "id"])
    op.create_index(op.f("ix_drift_reports_state"), "drift_reports", ["state", "id"])
    op.create_index(op.f("ix_drift_reports_requested_at"), "drift_reports", ["requested_at"])
    op.create_table(
        "ground_truth",
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("prediction", sa.String(length=36), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model", "environment", "prediction", name=op.f("pk_ground_truth")),
    )
    op.create_index(op.f("ix_ground_truth_received"), "ground_truth", ["model", "environment", "received_at"])
    op.add_column("model_summaries", sa.Column("drift", sa.String(length=20), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("model_summaries", "drift")
    op.drop_table("ground_truth")
    op.drop_table("drift_reports")
