"""Samples of a rollout's figures, for a graph."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deployment_samples",
        sa.Column("deployment_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("canary", sa.JSON(), nullable=False),
        sa.Column("primary", sa.JSON(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_deployment_samples_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", "seq", name=op.f("pk_deployment_samples")),
    )


def downgrade() -> None:
    op.drop_table("deployment_samples")
