"""The overview of models, and what its rows are made from by index."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "model_summaries",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("owner", sa.String(length=190), nullable=False),
        sa.Column("system", sa.String(length=190), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("cost_centre", sa.String(length=50), nullable=False),
        sa.Column("repository", sa.String(length=300), nullable=False),
        sa.Column("repository_name", sa.String(length=255), nullable=False),
        sa.Column("entity_ref", sa.String(length=200), nullable=True),
        sa.Column("latest_version", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("template", sa.String(length=63), nullable=True),
        sa.Column("template_version", sa.String(length=100), nullable=True),
        sa.Column("template_newest", sa.String(length=100), nullable=True),
        sa.Column("behind", sa.Integer(), nullable=False),
        sa.Column("request_url", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_model_summaries")),
    )
    op.create_index(op.f("ix_model_summaries_repository_name"), "model_summaries", ["repository_name"], unique=False)
    for column in ("owner", "system", "type", "tier", "updated_at", "behind"):
        op.create_index(f"ix_model_summaries_{column}_name", "model_summaries", [column, "name"], unique=False)
    op.create_table(
        "model_places",
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=True),
        sa.Column("challenger", sa.Integer(), nullable=True),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("deployment_id", sa.String(length=36), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("model", "environment", name=op.f("pk_model_places")),
    )
    op.create_index(
        "ix_model_places_environment_phase", "model_places", ["environment", "phase", "model"], unique=False
    )
    op.create_index("ix_deployments_model", "deployments", ["model", "environment", "id"], unique=False)
    op.create_index(op.f("ix_fleet_repositories_name"), "fleet_repositories", ["name"], unique=False)
