"""Deployments: rollouts, their steps, approvals and traffic."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("previous_version", sa.Integer(), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requirements", sa.JSON(), nullable=False),
        sa.Column("break_glass_reason", sa.Text(), nullable=True),
        sa.Column("promote_requested_by", sa.String(length=255), nullable=True),
        sa.Column("promote_reason", sa.Text(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index(op.f("ix_deployments_phase"), "deployments", ["phase"], unique=False)
    op.create_index("ix_deployments_place", "deployments", ["environment", "model", "id"], unique=False)
    op.create_index(
        "uq_deployments_in_progress",
        "deployments",
        ["environment", "model"],
        unique=True,
        sqlite_where=sa.text("phase <> 'completed'"),
        postgresql_where=sa.text("phase <> 'completed'"),
    )
    op.create_table(
        "traffic",
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("served", sa.Integer(), nullable=True),
        sa.Column("mirror", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("warm_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replicas", sa.Integer(), nullable=False),
        sa.Column("failed_over", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "model", "version", name=op.f("pk_traffic")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("deployment_id", sa.String(length=36), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("decision", sa.String(length=10), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_approvals_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_deployment_id"), "approvals", ["deployment_id"], unique=False)
    op.create_table(
        "deployment_steps",
        sa.Column("deployment_id", sa.String(length=36), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canary", sa.JSON(), nullable=True),
        sa.Column("primary", sa.JSON(), nullable=True),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_deployment_steps_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "index", name=op.f("pk_deployment_steps")),
    )
