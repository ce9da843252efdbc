"""Shadow runs and A/B experiments, and their part of the traffic."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("challenger", sa.Integer(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=False),
        sa.Column("tolerance", sa.Float(), nullable=True),
        sa.Column("key_header", sa.String(length=63), nullable=True),
        sa.Column("metric", sa.String(length=63), nullable=True),
        sa.Column("source", sa.String(length=10), nullable=True),
        sa.Column("better", sa.String(length=10), nullable=True),
        sa.Column("effect", sa.Float(), nullable=True),
        sa.Column("false_alarm_rate", sa.Float(), nullable=True),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requirements", sa.JSON(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=255), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(length=255), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.Column("decision", sa.String(length=10), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deployment", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
    )
    op.create_index(op.f("ix_experiments_phase"), "experiments", ["phase"])
    op.create_index(op.f("ix_experiments_place"), "experiments", ["environment", "model", "id"])
    op.create_index(op.f("ix_experiments_model"), "experiments", ["model", "id"])
    op.create_index(
        op.f("uq_experiments_in_progress"),
        "experiments",
        ["environment", "model"],
        unique=True,
        sqlite_where=sa.text("phase <> 'ended'"),
        postgresql_where=sa.text("phase <> 'ended'"),
    )
    op.create_table(
        "experiment_answers",
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_answers_experiment_id_experiments")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "request", "version", name=op.f("pk_experiment_answers")),
    )
    op.create_table(
        "experiment_pairs",
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("where", sa.Text(), nullable=True),
        sa.Column("champion_status", sa.Integer(), nullable=False),
        sa.Column("challenger_status", sa.Integer(), nullable=False),
        sa.Column("champion_ms", sa.Float(), nullable=False),
        sa.Column("challenger_ms", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_pairs_experiment_id_experiments")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "request", name=op.f("pk_experiment_pairs")),
    )
    op.create_index(op.f("ix_experiment_pairs_age"), "experiment_pairs", ["experiment_id", "seq"])
    op.create_table(
        "experiment_units",
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("crossed", sa.Boolean(), nullable=False),
        sa.Column("has_outcome", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_units_experiment_id_experiments")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "unit", name=op.f("pk_experiment_units")),
    )
    op.create_index(op.f("ix_experiment_units_split"), "experiment_units", ["experiment_id", "version", "at"])
    op.create_table(
        "experiment_predictions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("experiment_id", sa.String(length=36), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_predictions_experiment_id_experiments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment_predictions")),
    )
    op.create_index(op.f("ix_experiment_predictions_experiment"), "experiment_predictions", ["experiment_id", "id"])
    op.add_column("traffic", sa.Column("experiment", sa.String(length=36), nullable=True))
    op.add_column("traffic", sa.Column("key_header", sa.String(length=63), nullable=True))


def downgrade() -> None:
    op.drop_column("traffic", "key_header")
    op.drop_column("traffic", "experiment")
    for table in ("predictions", "units", "pairs", "answers"):
        op.drop_table(f"experiment_{table}")
    op.drop_table("experiments")
