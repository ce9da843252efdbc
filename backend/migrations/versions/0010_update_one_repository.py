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
    with op.batch_alter_table("campaigns") as table:
        table.add_column(sa.Column("repository", sa.String(length=574), nullable=False, server_default=""))
        table.drop_index(_INDEX)
    with op.batch_alter_table("campaigns") as table:
        table.alter_column("repository", server_default=None, existing_type=sa.String(length=574))
    columns = ["template", "repository"]
    op.create_index(_INDEX, "campaigns", columns, unique=True, sqlite_where=_WHERE, postgresql_where=_WHERE)


def downgrade() -> None:
    op.drop_index(_INDEX, "campaigns")
    with op.batch_alter_table("campaigns") as table:
        table.drop_column("repository")
    op.create_index(_INDEX, "campaigns", ["template"], unique=True, sqlite_where=_WHERE, postgresql_where=_WHERE)
