"""The audit log as a Merkle tree, the publication of its checkpoints, and evidence packs."""

import sqlalchemy as sa
from alembic import op

from backend.migrations.audit_guards import guard_audit_nodes, head_unguarded
from evidence.merkle import Frontier, leaf_hash

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_CHUNK = 5000
_KEPT_LEVELS = 8
_EVENTS = sa.text("SELECT event FROM audit_events ORDER BY seq")
_HEAD = sa.text("UPDATE audit_head SET frontier = :frontier")


def upgrade() -> None:
    op.add_column("audit_checkpoints", sa.Column("root", sa.String(length=64), nullable=True))
    op.add_column("audit_head", sa.Column("frontier", sa.Text(), nullable=False, server_default=""))
    nodes = op.create_table(
        "audit_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name=op.f("pk_audit_nodes")),
    )
    _plant(nodes)
    guard_audit_nodes(op.get_bind())
    op.create_table(
        "audit_publications",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("target", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("root", sa.String(length=64), nullable=True),
        sa.Column("place", sa.String(length=1000), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_publications")),
    )
    op.create_index("ix_audit_publications_target_id", "audit_publications", ["target", "id"])
    op.create_table(
        "evidence_packs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("control", sa.String(length=100), nullable=True),
        sa.Column("sample_size", sa.Integer(), nullable=False),
        sa.Column("sample_seed", sa.String(length=200), nullable=True),
        sa.Column("requested_by", sa.String(length=500), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=True),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_packs")),
    )


def downgrade() -> None:
    op.drop_table("evidence_packs")
    op.drop_table("audit_publications")
    op.drop_table("audit_nodes")
    op.drop_column("audit_head", "frontier")
    op.drop_column("audit_checkpoints", "root")


def _plant(nodes: sa.Table) -> None:
    """Compute the tree of a log that was written without one, in one pass and bounded memory."""
    connection = op.get_bind()
    rows: list[dict[str, object]] = []

    def completed(level: int, position: int, hash: bytes) -> None:
        if level % _KEPT_LEVELS == 0:
            rows.append({"level": level, "position": position, "hash": hash.hex()})

    tree = Frontier(completed=completed)
    streaming = connection.execution_options(stream_results=True, max_row_buffer=_CHUNK)
    for chunk in streaming.execute(_EVENTS).partitions(_CHUNK):
        for (event,) in chunk:
            tree.append(leaf_hash(event.encode()))
    connection.execution_options(stream_results=False)
    if rows:
        connection.execute(nodes.insert(), rows)
    with head_unguarded(connection):
        connection.execute(_HEAD, {"frontier": "".join(one.hex() for one in tree.hashes)})
