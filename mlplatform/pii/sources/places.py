"""Which tables an address stands for."""

import fnmatch
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, cast
from urllib.parse import urlsplit

from mlplatform.pii.sources.base import Bounded, Limits, SourceFailed, Table
from mlplatform.pii.sources.columnar import ArrowTable, ParquetTable
from mlplatform.pii.sources.delimited import DelimitedTable
from mlplatform.pii.sources.documents import DocumentTable, LinesTable

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)(?:://|::)", re.IGNORECASE)
_DATABASES = (
    "postgresql",
    "sqlite",
    "mysql",
    "mariadb",
    "oracle",
    "mssql",
    "duckdb",
    "snowflake",
    "bigquery",
    "redshift",
)
_READERS: dict[str, Callable[..., Table]] = {
    ".parquet": ParquetTable,
    ".pq": ParquetTable,
    ".arrow": ArrowTable,
    ".feather": ArrowTable,
    ".ipc": ArrowTable,
    ".csv": DelimitedTable,
    ".tsv": DelimitedTable,
    ".jsonl": LinesTable,
    ".ndjson": LinesTable,
    ".json": DocumentTable,
}
_PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".lz4": "lz4"}
MAX_FILES = 100_000
_MAX_MEMBERS = 5_000


@dataclass(frozen=True)
class OtherFile:
    """A file of no tabular kind: a model, a log, an archive of them. Its strings are looked at; it is never loaded."""

    name: str
    fingerprint: str
    open: Callable[[], IO[bytes]]


def open_source(address: str, limits: Limits, password: str | None = None) -> list[Table | OtherFile]:
    """Return the tables of a file, folder, pattern, URL of an object store, or database.

    A database is a SQLAlchemy URL; ``#table`` or ``#schema.table`` behind it names one table, else all are taken.

    Raises:
        SourceFailed: there is nothing, what it needs is not installed, or the address holds a password.
    """
    scheme = _SCHEME.match(address)
    if scheme and scheme.group(1).lower().split("+")[0] in _DATABASES:
        from mlplatform.pii.sources.database import open_database

        return list(open_database(address, limits, password))
    if scheme and _credentials_in(address):
        raise SourceFailed(
            "the address holds credentials, which the process list would show",
            "leave them out; fsspec reads them from the environment or its configuration",
        )
    return _files(address, limits)


def _credentials_in(address: str) -> bool:
    try:
        return bool(urlsplit(address).password)
    except ValueError:
        return True


def _files(address: str, limits: Limits) -> list[Table | OtherFile]:
    import fsspec

    try:
        store, root = fsspec.core.url_to_fs(address)
        found = _listed(store, root)
    except ImportError as error:
        raise SourceFailed(
            f"{address.partition('://')[0]}:// needs a package that is not installed ({error})"
        ) from error
    except FileNotFoundError:
        found = []
    except (OSError, ValueError) as error:
        raise SourceFailed(f"{address} can't be read: {type(error).__name__}: {str(error)[:200]}") from error
    if not found:
        raise SourceFailed(f"there is nothing at {address}", "check the path; a pattern needs quotes in a shell")
    if len(found) > MAX_FILES:
        raise SourceFailed(f"{address} has {len(found)} files, more than {MAX_FILES}", "scan its folders one by one")
    return [table for about in found for table in _tables(store, about, _shown(about["name"], root), limits)]


def _listed(store: Any, root: str) -> list[dict[str, Any]]:
    """Return the files below a path, by name; links that lead out of it are not followed."""
    if any(sign in root for sign in "*?["):
        return sorted(_only_files(store.glob(root, detail=True).values()), key=lambda about: str(about["name"]))
    if store.isfile(root):
        return [store.info(root)]
    found = store.find(root, detail=True)
    return sorted(_only_files(found.values()), key=lambda about: str(about["name"]))


def _only_files(found: Any) -> Iterator[dict[str, Any]]:
    for about in found:
        parts = PurePosixPath(str(about["name"])).parts
        hidden = any(part.startswith(".") and part not in {".", ".."} for part in parts[-1:])
        if about["type"] == "file" and not about.get("islink") and not hidden:
            yield about


def _shown(name: str, root: str) -> str:
    """Return a file's name as results show it: below the folder that was named, else its own."""
    folder = re.split(r"[*?\[]", root)[0].rpartition("/")[0] if any(sign in root for sign in "*?[") else root
    below = name[len(folder) :].lstrip("/") if name.startswith(folder.rstrip("/") + "/") else ""
    return below or PurePosixPath(name).name


def _tables(store: Any, about: dict[str, Any], shown: str, limits: Limits) -> list[Table | OtherFile]:
    path = str(about["name"])
    marks = [str(about.get(mark, "")) for mark in ("size", "mtime", "ETag", "etag", "LastModified", "updated")]
    fingerprint = hashlib.sha256("\0".join([path, *marks]).encode()).hexdigest()

    def opened() -> IO[bytes]:
        return cast("IO[bytes]", store.open(path, "rb"))

    size = about.get("size")
    return _table(shown, fingerprint, opened, size if isinstance(size, int) else None, limits)


def _table(
    shown: str, fingerprint: str, opened: Callable[[], IO[bytes]], size: int | None, limits: Limits
) -> list[Table | OtherFile]:
    suffixes = [suffix.lower() for suffix in PurePosixPath(shown).suffixes]
    last = suffixes[-1] if suffixes else ""
    if last == ".zip":
        return _members(shown, fingerprint, opened, limits)
    if last in _PACKED and len(suffixes) > 1 and suffixes[-2] in _READERS:
        return [_READERS[suffixes[-2]](shown, fingerprint, _unpacked(opened, last, size, limits, shown), limits)]
    if last in _READERS and not fnmatch.fnmatch(PurePosixPath(shown).name, "*input_example.json"):
        return [_READERS[last](shown, fingerprint, opened, limits)]
    return [OtherFile(shown, fingerprint, opened)]


def _unpacked(
    opened: Callable[[], IO[bytes]], suffix: str, size: int | None, limits: Limits, shown: str
) -> Callable[[], IO[bytes]]:
    def unpacked() -> IO[bytes]:
        import io

        from fsspec.compression import compr

        packer = compr.get(_PACKED[suffix])
        if packer is None:
            raise SourceFailed(f"{shown}: no package that unpacks {suffix} is installed")
        return io.BufferedReader(Bounded(packer(opened(), mode="rb"), size, limits, shown), 1024 * 1024)

    return unpacked


def _members(shown: str, fingerprint: str, opened: Callable[[], IO[bytes]], limits: Limits) -> list[Table | OtherFile]:
    """Return the tables inside of a zip archive; archives within it are looked at as strings."""
    import io

    try:
        with opened() as stream, zipfile.ZipFile(stream) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise SourceFailed(f"{shown} is no zip archive or is damaged ({type(error).__name__})") from error
    if len(members) > _MAX_MEMBERS:
        raise SourceFailed(
            f"{shown} has {len(members)} members, more than {_MAX_MEMBERS}", "unpack it and scan the folder"
        )

    def member_opened(member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
        def opened_member() -> IO[bytes]:
            # The member holds its archive open, and is closed by whoever reads it.
            stream = zipfile.ZipFile(opened()).open(member)  # noqa: SIM115
            bounded = Bounded(stream, member.compress_size, limits, f"{shown}:{member.filename}")
            return io.BufferedReader(bounded, 1024 * 1024)

        return opened_member

    found: list[Table | OtherFile] = []
    for member in members:
        if member.filename.endswith(".zip"):
            found.append(OtherFile(f"{shown}:{member.filename}", fingerprint, member_opened(member)))
        else:
            name = f"{shown}:{member.filename}"
            found += _table(name, fingerprint, member_opened(member), member.compress_size, limits)
    return found
