"""Data sets and the classification of their columns."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("entity", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=190), nullable=False),
        sa.Column("declared", sa.String(length=20), nullable=True),
        sa.Column("declared_by", sa.String(length=255), nullable=True),
        sa.Column("classification", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("name", name=op.f("uq_datasets_name")),
    )
    for column in ("entity", "owner", "classification"):
        op.create_index(op.f(f"ix_datasets_{column}"), "datasets", [column])
    op.create_table(
        "dataset_columns",
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=50), nullable=False),
        sa.Column("classification", sa.String(length=20), nullable=False),
        sa.Column("basis", sa.String(length=20), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("proposed", sa.String(length=20), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_columns_dataset_id_datasets")),
        sa.PrimaryKeyConstraint("dataset_id", "name", name=op.f("pk_dataset_columns")),
    )


def downgrade() -> None:
    op.drop_table("dataset_columns")
    op.drop_table("datasets")
