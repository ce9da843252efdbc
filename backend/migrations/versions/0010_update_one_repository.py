"""Campaigns for one repository, beside those through the fleet."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEX = "uq_campaigns_under_way"
_WHERE = sa.text("finished_at IS NULL")


def upgrade() -> None:
    # Without making the table anew, which SQLite refuses while members refer to it.
    op.add_column("campaigns", sa.Column("repository", sa.String(length=574), nullable=False, server_default=""))
    op.drop_index(_INDEX, "campaigns")
    columns = ["template", "repository"]
    op.create_index(_INDEX, "campaigns", columns, unique=True, sqlite_where=_WHERE, postgresql_where=_WHERE)


def downgrade() -> None:
    op.drop_index(_INDEX, "campaigns")
    op.drop_column("campaigns", "repository")
    op.create_index(_INDEX, "campaigns", ["template"], unique=True, sqlite_where=_WHERE, postgresql_where=_WHERE)
