"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562)."""

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())
