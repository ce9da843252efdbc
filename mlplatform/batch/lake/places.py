"""Which lake an address stands for."""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlplatform.batch.faults import BatchFailed

if TYPE_CHECKING:
    from mlplatform.batch.lake.base import Lake

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")


def open_lake(address: str) -> "Lake":
    """Return the lake at a local path or an object store's URL, for example ``s3://bucket/prefix``.

    Raises:
        BatchFailed: there is no such kind of store, or what it needs is not installed.
    """
    if not _SCHEME.match(address):
        from mlplatform.batch.lake.local import LocalLake

        return LocalLake(Path(address).expanduser().resolve())
    parts = urlsplit(address)
    if parts.scheme == "file":
        return open_lake(parts.path)
    if parts.username or parts.password:
        raise BatchFailed("a lake's URL must not hold credentials; give them in the environment")
    from mlplatform.batch.lake.objects import ObjectLake

    return ObjectLake(address)


def redacted_address(address: str) -> str:
    """Return an address as it may be shown."""
    from mlplatform.redaction import redact

    return redact(address)
