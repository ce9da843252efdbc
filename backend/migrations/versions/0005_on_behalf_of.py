"""Deployments that CI asked for: who started the job."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deployments", sa.Column("on_behalf_of", sa.String(length=255), nullable=True))
