"""Alembic's environment: migrations run on the connection that :func:`backend.migrations.upgrade` hands over."""

from alembic import context

from backend.core.database import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
