"""Brings a database up to date with Alembic, once, however many workers start together."""

from pathlib import Path

import portalocker
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from backend.core.database import Database

_LOCK_ID = 7_205_759_403_792_793


def upgrade(database: Database, home: Path) -> None:
    """Run all migrations that the database has not seen yet."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    if database.is_sqlite:
        home.mkdir(parents=True, exist_ok=True)
        with (
            portalocker.Lock(home / ".migrations.lock", timeout=120),
            database.engine.connect() as connection,
        ):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        return
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
