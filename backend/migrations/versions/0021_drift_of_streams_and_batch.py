"""Samples in the order of time whatever their ids are, and the days of labels of rows in the lake."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_payload_samples_place"), "payload_samples")
    op.create_index(op.f("ix_payload_samples_place"), "payload_samples", ["environment", "model", "at", "id"])
    op.add_column("ground_truth", sa.Column("day", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("ground_truth", "day")
    op.drop_index(op.f("ix_payload_samples_place"), "payload_samples")
    op.create_index(op.f("ix_payload_samples_place"), "payload_samples", ["environment", "model", "id"])
