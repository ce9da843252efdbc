"""Notifications of everything, and since when a check finds something about a model."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_notifications_incident", "notifications")
    with op.batch_alter_table("notifications") as table:
        table.alter_column("incident_id", new_column_name="subject", type_=sa.String(300), existing_type=sa.String(36))
        table.add_column(sa.Column("kind", sa.String(20), nullable=False, server_default="incident"))
        table.add_column(sa.Column("owner", sa.String(190), nullable=False, server_default=""))
        table.add_column(sa.Column("severity", sa.String(10), nullable=False, server_default="page"))
        table.add_column(sa.Column("attachment", sa.String(300), nullable=True))
    op.execute("UPDATE notifications SET subject = 'incident:' || subject")
    op.create_index("ix_notifications_subject", "notifications", ["subject", "id"])
    op.add_column("compliance_failing_models", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("compliance_failing_models", sa.Column("message", sa.Text(), nullable=False, server_default=""))
    op.execute(
        'UPDATE compliance_failing_models SET since = COALESCE((SELECT c.since FROM compliance_checks c WHERE c."check" = '
        'compliance_failing_models."check"), CURRENT_TIMESTAMP)'
    )
    with op.batch_alter_table("compliance_failing_models") as table:
        table.alter_column("since", nullable=False, existing_type=sa.DateTime(timezone=True))


def downgrade() -> None:
    with op.batch_alter_table("compliance_failing_models") as table:
        table.drop_column("message")
        table.drop_column("since")
    op.drop_index("ix_notifications_subject", "notifications")
    # An older platform knows those of incidents alone.
    op.execute("DELETE FROM notifications WHERE kind <> 'incident'")
    op.execute("UPDATE notifications SET subject = substr(subject, 10)")
    with op.batch_alter_table("notifications") as table:
        for column in ("attachment", "severity", "owner", "kind"):
            table.drop_column(column)
        table.alter_column("subject", new_column_name="incident_id", type_=sa.String(36), existing_type=sa.String(300))
    op.create_index("ix_notifications_incident", "notifications", ["incident_id", "id"])
