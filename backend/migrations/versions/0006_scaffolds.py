"""Scaffolds and their progress; the catalog's locations, entities and passes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scaffolds",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=True),
        sa.Column("template", sa.String(length=63), nullable=False),
        sa.Column("template_version", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=63), nullable=False),
        sa.Column("org", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("fix", sa.Text(), nullable=True),
        sa.Column("cleaned_up", sa.Boolean(), nullable=True),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_by", sa.String(length=255), nullable=True),
        sa.Column("began_to_create", sa.Boolean(), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("clone_url", sa.String(length=500), nullable=True),
        sa.Column("web_url", sa.String(length=500), nullable=True),
        sa.Column("location_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scaffolds")),
    )
    for column in ("name", "owner", "state"):
        op.create_index(op.f(f"ix_scaffolds_{column}"), "scaffolds", [column], unique=False)
    op.create_index(
        "uq_scaffolds_under_way",
        "scaffolds",
        ["name"],
        unique=True,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "scaffold_events",
        sa.Column("scaffold_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["scaffold_id"], ["scaffolds.id"], name=op.f("fk_scaffold_events_scaffold_id_scaffolds")
        ),
        sa.PrimaryKeyConstraint("scaffold_id", "seq", name=op.f("pk_scaffold_events")),
    )
    op.create_table(
        "catalog_locations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=63), nullable=False),
        sa.Column("org", sa.String(length=255), nullable=False),
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("faults", sa.JSON(), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("web_url", sa.String(length=500), nullable=True),
        sa.Column("registered_by", sa.String(length=255), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_locations")),
    )
    op.create_index(
        "uq_catalog_locations_place", "catalog_locations", ["host", "org", "repository", "path"], unique=True
    )
    op.create_index(op.f("ix_catalog_locations_read_at"), "catalog_locations", ["read_at"], unique=False)
    op.create_table(
        "catalog_entities",
        sa.Column("ref", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=63), nullable=False),
        sa.Column("namespace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("system", sa.String(length=200), nullable=True),
        sa.Column("location_id", sa.String(length=36), nullable=True),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_catalog_entities")),
        sa.UniqueConstraint("seq", name=op.f("uq_catalog_entities_seq")),
    )
    for column in ("kind", "owner", "system", "location_id"):
        op.create_index(op.f(f"ix_catalog_entities_{column}"), "catalog_entities", [column], unique=False)
    op.create_table(
        "catalog_refreshes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_refreshes")),
    )
