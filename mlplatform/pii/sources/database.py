"""Tables of databases, through SQLAlchemy: read only, streamed, in the order of the primary key."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplatform.pii.sources.base import Batch, Limits, Needed, Notes, SourceFailed
from mlplatform.pii.sources.columnar import unique
from mlplatform.pii.sources.nested import spread

if TYPE_CHECKING:
    import sqlalchemy as sa

_ROWS = 2_000


@dataclass(frozen=True)
class DatabaseTable:
    """One table or view."""

    engine: "sa.Engine"
    schema: str | None
    table: str
    limits: Limits

    @property
    def name(self) -> str:
        """The table's name, with its schema if one was named."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def fingerprint(self) -> str:
        """The place and the number of rows, where there is a key that orders them; without one nothing is told."""
        reflected = self._reflected()
        if not list(reflected.primary_key.columns):
            return ""
        url = self.engine.url.render_as_string(hide_password=True)
        return hashlib.sha256(f"{url}\0{self.name}\0{self.count()}".encode()).hexdigest()

    def count(self) -> int:
        """Ask the database for the number of rows."""
        import sqlalchemy as sa

        with self._reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(self._reflected())).scalar_one())

    def batches(self, needed: Needed, notes: Notes) -> Iterator[Batch]:
        """Stream all rows; the database has no way to give some by their number that would cost less."""
        import sqlalchemy as sa

        reflected = self._reflected()
        query = sa.select(reflected).order_by(*reflected.primary_key.columns)
        position = 0
        with self._reading() as connection:
            result = connection.execution_options(stream_results=True, yield_per=_ROWS).execute(query)
            names = unique([str(name) for name in result.keys()])  # noqa: SIM118 - a result is no mapping
            for part in result.partitions(_ROWS):
                if needed(position, len(part)):
                    rows = [dict(zip(names, row, strict=True)) for row in part]
                    yield Batch(position, len(part), spread(rows, self.limits, notes))
                position += len(part)

    def _reflected(self) -> "sa.Table":
        import sqlalchemy as sa

        try:
            return sa.Table(self.table, sa.MetaData(), schema=self.schema, autoload_with=self.engine)
        except sa.exc.NoSuchTableError as error:
            raise SourceFailed(f"the database has no table {self.name}", "write it as URL#schema.table") from error
        except sa.exc.SQLAlchemyError as error:
            raise _failed(self.name, error) from error

    @contextmanager
    def _reading(self) -> Iterator["sa.Connection"]:
        import sqlalchemy as sa

        try:
            with self.engine.connect() as connection:
                if connection.dialect.name in {"postgresql", "mysql", "mariadb"}:
                    connection.execute(sa.text("SET TRANSACTION READ ONLY"))
                elif connection.dialect.name == "sqlite":
                    connection.execute(sa.text("PRAGMA query_only = ON"))
                yield connection
                connection.rollback()
        except sa.exc.SQLAlchemyError as error:
            raise _failed(self.name, error) from error


def open_database(address: str, limits: Limits, password: str | None) -> list[DatabaseTable]:
    """Return one table of a database, or all of a schema.

    Raises:
        SourceFailed: the address holds a password, the driver is missing, or the database does not answer.
    """
    import sqlalchemy as sa

    plain, _, fragment = address.partition("#")
    try:
        url = sa.make_url(plain)
    except sa.exc.ArgumentError as error:
        raise SourceFailed(
            "the address is no SQLAlchemy URL", "write it as dialect://user@host/database#table"
        ) from error
    if url.password or any("password" in name.lower() for name in url.query):
        raise SourceFailed(
            "the address holds a password, which the process list would show",
            "leave it out and give --password env:NAME or --password file:PATH",
        )
    if url.get_backend_name() == "sqlite":
        url = _read_only(url)
    if password is not None:
        url = url.set(password=password)
    schema, _, table = fragment.rpartition(".")
    try:
        engine = sa.create_engine(url, hide_parameters=True)
        if table:
            return [DatabaseTable(engine, schema or None, table, limits)]
        names = sa.inspect(engine).get_table_names(schema=schema or None)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise SourceFailed(
            f"the driver of {url.drivername} is not installed", "install it beside mlplatform"
        ) from error
    except sa.exc.SQLAlchemyError as error:
        raise _failed(url.render_as_string(hide_password=True), error) from error
    if not names:
        raise SourceFailed("the database has no tables", "name one as URL#schema.table")
    return [DatabaseTable(engine, schema or None, name, limits) for name in sorted(names)]


def _read_only(url: "sa.URL") -> "sa.URL":
    """Return a SQLite URL that opens an existing file without writing; SQLite would make one that is not there."""
    from pathlib import Path

    database = url.database or ""
    if not database or database.startswith("file:"):
        return url
    path = Path(database).expanduser().resolve()
    if not path.is_file():
        raise SourceFailed(f"there is no SQLite database at {database}")
    return url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})


def _failed(name: str, error: Any) -> SourceFailed:
    """Return a database's error without what drivers put into it: parameters, values, connection strings."""
    from mlplatform.redaction import redact

    cause = getattr(error, "orig", None) or error
    first = str(cause).strip().splitlines()[:1]
    return SourceFailed(f"{name} can't be read: {redact(first[0][:200]) if first else type(error).__name__}")
