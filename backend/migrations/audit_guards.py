"""Triggers that refuse to change or delete what the audit log holds, on SQLite and PostgreSQL.

They keep honest mistakes and ordinary access from touching the log. Whoever may drop a trigger gets past them; the hash
chain is there to show that.
"""

from sqlalchemy import Connection, text

_APPEND_ONLY = ("audit_events", "audit_checkpoints")


def guard_audit_log(connection: Connection) -> None:
    """Make the triggers."""
    statements = _sqlite() if connection.dialect.name == "sqlite" else _postgresql()
    for statement in statements:
        connection.execute(text(statement))


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
    statements.append(
        "CREATE TRIGGER audit_head_only_forward BEFORE UPDATE ON audit_head "
        "WHEN NEW.id <> OLD.id OR NEW.seq <= OLD.seq "
        "BEGIN SELECT RAISE(ABORT, 'audit_head only moves forward'); END"
    )
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
