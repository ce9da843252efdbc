"""Campaigns and their repositories; the inventory of the fleet."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("template", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("waves", sa.JSON(), nullable=False),
        sa.Column("parallelism", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("advanced", sa.Boolean(), nullable=False),
        sa.Column("collected", sa.Boolean(), nullable=False),
        sa.Column("keep_requests", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
    )
    op.create_index(op.f("ix_campaigns_template"), "campaigns", ["template"], unique=False)
    op.create_index(op.f("ix_campaigns_state"), "campaigns", ["state"], unique=False)
    op.create_index(
        "uq_campaigns_under_way",
        "campaigns",
        ["template"],
        unique=True,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "campaign_members",
        sa.Column("campaign_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("host", sa.String(length=63), nullable=False),
        sa.Column("org", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("from_version", sa.String(length=100), nullable=True),
        sa.Column("conflicts", sa.JSON(), nullable=False),
        sa.Column("base_commit", sa.String(length=64), nullable=True),
        sa.Column("head_commit", sa.String(length=64), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("web_url", sa.String(length=500), nullable=True),
        sa.Column("checks", sa.String(length=20), nullable=True),
        sa.Column("draft", sa.Boolean(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_members_campaign_id_campaigns")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "position", name=op.f("pk_campaign_members")),
    )
    op.create_index(op.f("ix_campaign_members_name"), "campaign_members", ["name"], unique=False)
    op.create_index(op.f("ix_campaign_members_state"), "campaign_members", ["state"], unique=False)
    op.create_table(
        "fleet_inventories",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleet_inventories")),
    )
    op.create_index(op.f("ix_fleet_inventories_finished_at"), "fleet_inventories", ["finished_at"], unique=False)
    op.create_table(
        "fleet_repositories",
        sa.Column("host", sa.String(length=63), nullable=False),
        sa.Column("org", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("web_url", sa.String(length=500), nullable=True),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("template", sa.String(length=63), nullable=True),
        sa.Column("version", sa.String(length=100), nullable=True),
        sa.Column("newest", sa.String(length=100), nullable=True),
        sa.Column("behind", sa.Integer(), nullable=True),
        sa.Column("drift", sa.JSON(), nullable=True),
        sa.Column("template_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("request_url", sa.String(length=500), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("host", "org", "name", name=op.f("pk_fleet_repositories")),
    )
    for column in ("owner", "template", "behind"):
        op.create_index(op.f(f"ix_fleet_repositories_{column}"), "fleet_repositories", [column], unique=False)


def downgrade() -> None:
    for table in ("fleet_repositories", "fleet_inventories", "campaign_members", "campaigns"):
        op.drop_table(table)
