"""Triggers that refuse to change or delete what the audit log holds, on SQLite and PostgreSQL.

They keep honest mistakes and ordinary access from touching the log. Whoever may drop a trigger gets past them; the hash
chain is there to show that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

_APPEND_ONLY = ("audit_events", "audit_checkpoints")
_SEGMENT_TABLES = ("audit_segments", "audit_segment_removals")
_SQLITE_FORWARD = (
    "CREATE TRIGGER audit_head_only_forward BEFORE UPDATE ON audit_head "
    "WHEN NEW.id <> OLD.id OR NEW.seq <= OLD.seq "
    "BEGIN SELECT RAISE(ABORT, 'audit_head only moves forward'); END"
)


def guard_audit_log(connection: Connection) -> None:
    """Make the triggers."""
    statements = _sqlite() if connection.dialect.name == "sqlite" else _postgresql()
    for statement in statements:
        connection.execute(text(statement))


def guard_audit_nodes(connection: Connection) -> None:
    """Make the triggers of the table that came later; PostgreSQL's function is there already."""
    if connection.dialect.name == "sqlite":
        statements = [
            f"CREATE TRIGGER audit_nodes_refuses_{operation.lower()} BEFORE {operation} ON audit_nodes "
            "BEGIN SELECT RAISE(ABORT, 'audit_nodes is append-only'); END"
            for operation in ("UPDATE", "DELETE")
        ]
        statements.append(
            "CREATE TRIGGER audit_nodes_refuses_replace BEFORE INSERT ON audit_nodes "
            "WHEN EXISTS (SELECT 1 FROM audit_nodes WHERE level = NEW.level AND position = NEW.position) "
            "BEGIN SELECT RAISE(ABORT, 'audit_nodes is append-only'); END"
        )
    else:
        statements = [
            "CREATE TRIGGER audit_nodes_refuses_change BEFORE UPDATE OR DELETE ON audit_nodes "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
            "CREATE TRIGGER audit_nodes_refuses_truncate BEFORE TRUNCATE ON audit_nodes "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
        ]
    for statement in statements:
        connection.execute(text(statement))


def guard_segments(connection: Connection) -> None:
    """Make the triggers of sealed segments: events may leave the table where a segment has them, and segments only follow.

    A segment's row alone lets its events go. That it is genuine is the verification's business: its manifest is signed.
    """
    sealed = "(SELECT coalesce(max(last_seq), 0) FROM audit_segments)"
    appended = "(SELECT seq FROM audit_head)"
    next_one = f"NEW.first_seq <> {sealed} + 1 OR NEW.last_seq < NEW.first_seq OR NEW.last_seq > {appended}"
    if connection.dialect.name == "sqlite":
        statements = [
            "DROP TRIGGER audit_events_refuses_delete",
            f"CREATE TRIGGER audit_events_refuses_delete BEFORE DELETE ON audit_events WHEN OLD.seq > {sealed} "
            "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
            f"CREATE TRIGGER audit_segments_refuses_other BEFORE INSERT ON audit_segments WHEN {next_one} "
            "BEGIN SELECT RAISE(ABORT, 'audit_segments is append-only'); END",
            "CREATE TRIGGER audit_segment_removals_refuses_replace BEFORE INSERT ON audit_segment_removals "
            "WHEN EXISTS (SELECT 1 FROM audit_segment_removals WHERE first_seq = NEW.first_seq) "
            "BEGIN SELECT RAISE(ABORT, 'audit_segment_removals is append-only'); END",
            *(
                f"CREATE TRIGGER {table}_refuses_{operation.lower()} BEFORE {operation} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                for table in _SEGMENT_TABLES
                for operation in ("UPDATE", "DELETE")
            ),
        ]
    else:
        refuse = "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;"
        statements = [
            "CREATE FUNCTION audit_refuse_unsealed() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF OLD.seq > {sealed} THEN {refuse} END IF; RETURN OLD; END $$",
            "CREATE FUNCTION audit_refuse_other_segment() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {next_one} THEN {refuse} END IF; RETURN NEW; END $$",
            "DROP TRIGGER audit_events_refuses_change ON audit_events",
            "CREATE TRIGGER audit_events_refuses_change BEFORE UPDATE ON audit_events "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
            "CREATE TRIGGER audit_events_refuses_delete BEFORE DELETE ON audit_events "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse_unsealed()",
            "CREATE TRIGGER audit_segments_refuses_other BEFORE INSERT ON audit_segments "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse_other_segment()",
            *(
                f"CREATE TRIGGER {table}_refuses_{name} BEFORE {operations} ON {table} "
                f"FOR EACH {each} EXECUTE FUNCTION audit_refuse()"
                for table in _SEGMENT_TABLES
                for name, operations, each in (
                    ("change", "UPDATE OR DELETE", "ROW"),
                    ("truncate", "TRUNCATE", "STATEMENT"),
                )
            ),
        ]
    for statement in statements:
        connection.execute(text(statement))


def unguard_segments(connection: Connection) -> None:
    """Put the triggers back as they were before there were segments."""
    if connection.dialect.name == "sqlite":
        statements = [
            "DROP TRIGGER audit_events_refuses_delete",
            "CREATE TRIGGER audit_events_refuses_delete BEFORE DELETE ON audit_events "
            "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
        ]
    else:
        statements = [
            "DROP TRIGGER audit_events_refuses_delete ON audit_events",
            "DROP TRIGGER audit_events_refuses_change ON audit_events",
            "CREATE TRIGGER audit_events_refuses_change BEFORE UPDATE OR DELETE ON audit_events "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
            "DROP FUNCTION audit_refuse_unsealed()",
            "DROP FUNCTION audit_refuse_other_segment() CASCADE",
        ]
    for statement in statements:
        connection.execute(text(statement))


@contextmanager
def head_unguarded(connection: Connection) -> Iterator[None]:
    """Let a migration fill a new column of the head in, which otherwise only moves forward."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("DROP TRIGGER audit_head_only_forward"))
        yield
        connection.execute(text(_SQLITE_FORWARD))
    else:
        connection.execute(text("ALTER TABLE audit_head DISABLE TRIGGER audit_head_only_forward"))
        yield
        connection.execute(text("ALTER TABLE audit_head ENABLE TRIGGER audit_head_only_forward"))


def _sqlite() -> list[str]:
    statements = []
    for table in (*_APPEND_ONLY, "audit_head"):
        operations = ("DELETE",) if table == "audit_head" else ("UPDATE", "DELETE")
        statements += [
            f"CREATE TRIGGER {table}_refuses_{operation.lower()} BEFORE {operation} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for operation in operations
        ]
    # REPLACE deletes without asking a delete trigger, so it is stopped where it inserts.
    statements.append(
        "CREATE TRIGGER audit_events_refuses_replace BEFORE INSERT ON audit_events "
        "WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit_events) "
        "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"
    )
    statements.append(_SQLITE_FORWARD)
    return statements


def _postgresql() -> list[str]:
    statements = [
        "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$",
        "CREATE FUNCTION audit_head_forward() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.id <> OLD.id OR NEW.seq <= OLD.seq THEN "
        "RAISE EXCEPTION 'audit_head only moves forward'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER audit_head_only_forward BEFORE UPDATE ON audit_head "
        "FOR EACH ROW EXECUTE FUNCTION audit_head_forward()",
    ]
    for table in (*_APPEND_ONLY, "audit_head"):
        operations = "DELETE" if table == "audit_head" else "UPDATE OR DELETE"
        statements += [
            f"CREATE TRIGGER {table}_refuses_change BEFORE {operations} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
            f"CREATE TRIGGER {table}_refuses_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
        ]
    return statements
