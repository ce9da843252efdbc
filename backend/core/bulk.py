"""Many rows by one statement, with what SQLAlchemy does for each row done once for all of them."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from sqlalchemy import Insert
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine


def insert_many(session: Session, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute an insert for each row; all rows have the same columns.

    On SQLite the statement is compiled here and the driver gets values as it stores them: with narrow rows SQLAlchemy's work
    for each takes several times as long as the database's. Drivers of other databases send many rows at once by themselves.
    """
    if not rows:
        return
    connection = session.connection()
    dialect = connection.dialect
    if dialect.name != "sqlite":
        session.execute(statement, list(rows))
        return
    compiled = statement.compile(dialect=dialect, column_keys=list(rows[0]))
    assert isinstance(compiled, SQLCompiler)
    columns = [
        _stored([row[name] for row in rows], compiled.binds[name].type, dialect) for name in compiled.positiontup or ()
    ]
    connection.exec_driver_sql(str(compiled), list(zip(*columns, strict=True)))


def _stored(values: list[Any], type_: TypeEngine[Any], dialect: Dialect) -> list[Any]:
    process: Callable[[Any], Any] | None = type_.dialect_impl(dialect).bind_processor(dialect)
    if process is None:
        return values
    # Rows that come together are often of the same moment.
    known: dict[Hashable, Any] = {value: process(value) for value in set(values)}
    return [known[value] for value in values]
