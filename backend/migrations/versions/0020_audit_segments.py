"""Sealed segments of the audit log, and what allows their events, and nothing else, to leave the table."""

import sqlalchemy as sa
from alembic import op

from backend.migrations.audit_guards import guard_segments, unguard_segments

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_segments",
        sa.Column(
            "first_seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.String(length=27), nullable=False),
        sa.Column("until", sa.String(length=27), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("first_seq", name=op.f("pk_audit_segments")),
    )
    op.create_index(op.f("ix_audit_segments_last_seq"), "audit_segments", ["last_seq"])
    op.create_table(
        "audit_segment_removals",
        sa.Column(
            "first_seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["first_seq"],
            ["audit_segments.first_seq"],
            name=op.f("fk_audit_segment_removals_first_seq_audit_segments"),
        ),
        sa.PrimaryKeyConstraint("first_seq", name=op.f("pk_audit_segment_removals")),
    )
    op.create_table(
        "audit_sealings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(length=500), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_sealings")),
    )
    guard_segments(op.get_bind())


def downgrade() -> None:
    sealed = op.get_bind().execute(sa.text("SELECT count(*) FROM audit_segments")).scalar_one()
    if sealed:
        raise RuntimeError(f"{sealed} segments of the audit log are sealed: an older platform can't read them")
    unguard_segments(op.get_bind())
    op.drop_table("audit_sealings")
    op.drop_table("audit_segment_removals")
    op.drop_table("audit_segments")
