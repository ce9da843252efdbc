"""The environments' lakes: tables are written again without the person's rows, and each change is one step for readers."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from pathlib import Path, PurePosixPath

import fsspec
from fsspec.implementations.local import LocalFileSystem

from backend.core.container import Services
from backend.privacy.holdings.partitions import folders_of_models
from backend.privacy.models import SubjectFinding
from backend.privacy.subjects import tables
from backend.privacy.subjects.matching import Matcher
from backend.privacy.subjects.places import Busy, Spot
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake, file_digest, open_lake, part_name
from mlplatform.batch.lake.base import STAGING
from mlplatform.batch.manifest import FILE_NAME, Manifest, OutputFile, digest_of

_PARTITION = re.compile(r"(?P<column>[A-Za-z_]\w*)=(?P<day>\d{4}-\d{2}-\d{2})")


class LakePlace:
    """Tables in all lakes: those of batch models, and whatever else of a known form lies there."""

    kind = "dataset"

    def __init__(self, services: Services) -> None:
        self._services = services

    def search(self, matcher: Matcher, hashes: list[str]) -> Iterator[Spot]:
        """Yield files with the number of rows that hold the person, and files that can't be searched."""
        with self._services.database.read() as session:
            models = {one.folder: one.models for one in folders_of_models(self._services, session)}
        for environment in self._services.settings.environments:
            files = LakeFiles(self._services.settings.lake_of(environment))
            for name in files.names():
                folder = _folder(name)
                refs = (
                    f"kind:{self.kind}",
                    f"environment:{environment}",
                    f"dataset:{folder}",
                    *(f"model:{model}" for model in models.get(folder, ())),
                )
                spot = self._looked_at(files, name, f"{environment}:{name}", refs, matcher)
                if spot is not None:
                    yield spot

    def erase(self, matcher: Matcher, finding: SubjectFinding, hashes: list[str]) -> None:
        """Write a table again without the person's rows, and its partition's manifest with it.

        Raises:
            Busy: the partition is being written.
        """
        environment, _, name = finding.location.partition(":")
        address = self._services.settings.lake_of(environment)
        files, lake = LakeFiles(address), open_lake(address)
        place = _partition(name)
        try:
            with _alone(lake, place):
                manifest = lake.manifest(*place) if place else None
                if place and manifest is not None:
                    self._rewrite_partition(lake, place, manifest, matcher)
                else:
                    self._rewrite_file(files, name, matcher)
        except BatchFailed as fault:
            if fault.again:
                raise Busy(fault.message) from None
            raise

    @staticmethod
    def _looked_at(
        files: "LakeFiles", name: str, location: str, refs: tuple[str, ...], matcher: Matcher
    ) -> Spot | None:
        if PurePosixPath(name).suffix not in tables.SUFFIXES:
            return Spot(location, refs, 0, "not searched: no table of a known form")
        with tempfile.TemporaryDirectory(prefix="privacy-") as folder:
            try:
                found = tables.count(files.local(name, Path(folder)), matcher)
            except FileNotFoundError:
                return None  # replaced meanwhile, under another name
            except tables.Unreadable as error:
                return Spot(location, refs, 0, f"not searched: {error}")
        return Spot(location, refs, found) if found else None

    def _rewrite_file(self, files: "LakeFiles", name: str, matcher: Matcher) -> None:
        with tempfile.TemporaryDirectory(prefix="privacy-") as folder:
            try:
                path = files.local(name, Path(folder))
            except FileNotFoundError:
                return
            written = Path(folder) / f"without{path.suffix}"
            if tables.count(path, matcher):
                tables.without(path, written, matcher)
                files.replace(name, written)

    def _rewrite_partition(
        self, lake: Lake, place: tuple[str, str, date], manifest: Manifest, matcher: Matcher
    ) -> None:
        """Replace a partition that a batch run wrote, as a batch run does it."""
        with tempfile.TemporaryDirectory(prefix="privacy-") as folder:
            fetched = [lake.fetch(*place, file.name, Path(folder)) for file in manifest.output_files]
            holding = [tables.count(path, matcher) > 0 for path in fetched]
            if any(holding):
                self._publish(lake, place, manifest, fetched, holding, matcher, Path(folder))

    @staticmethod
    def _publish(
        lake: Lake,
        place: tuple[str, str, date],
        manifest: Manifest,
        fetched: list[Path],
        holding: list[bool],
        matcher: Matcher,
        folder: Path,
    ) -> None:
        staging = lake.stage(*place, f"erase-{manifest.run_id}")
        outputs: list[OutputFile] = []
        try:
            for index, (file, path) in enumerate(zip(manifest.output_files, fetched, strict=True)):
                written, rows = folder / f"written-{index}.parquet", file.rows
                if holding[index]:
                    rows = tables.without(path, written, matcher)
                else:
                    shutil.copyfile(path, written)
                sha256, size = file_digest(written), written.stat().st_size
                output = OutputFile(name=part_name(index, sha256), bytes=size, rows=rows, sha256=sha256)
                staging.put(written, output.name)
                outputs.append(output)
            changed = manifest.model_copy(
                update={
                    "output_files": outputs,
                    "output_digest": digest_of((file.name, file.sha256) for file in outputs),
                    "rows_out": sum(file.rows for file in outputs),
                }
            )
            staging.commit(changed)
        except BaseException:
            staging.discard()
            raise


class LakeFiles:
    """The files of a lake by their names below its root."""

    def __init__(self, address: str) -> None:
        self._store, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
        self._root = str(root).rstrip("/")
        self._is_local = isinstance(self._store, LocalFileSystem)

    def names(self) -> list[str]:
        """Return all files but those that are not published, hidden or the platform's own."""
        if not self._store.exists(self._root):
            return []
        found = [path.removeprefix(self._root).lstrip("/") for path in self._store.find(self._root)]
        return sorted(
            name
            for name in found
            if not name.startswith(f"{STAGING}/")
            and not PurePosixPath(name).name.startswith(".")
            and PurePosixPath(name).name != FILE_NAME
        )

    def local(self, name: str, folder: Path) -> Path:
        """Return a file's own path, or that of a copy in the folder; raise ``FileNotFoundError`` if it is gone."""
        if self._is_local:
            path = Path(self._root) / name
            path.stat()
            return path
        path = folder / f"fetched{PurePosixPath(name).suffix}"
        self._store.get_file(f"{self._root}/{name}", str(path))
        return path

    def replace(self, name: str, written: Path) -> None:
        """Put other content under a file's name, in one step."""
        if not self._is_local:
            self._store.put_file(str(written), f"{self._root}/{name}")
            return
        target = Path(self._root) / name
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(written, beside)
        beside.chmod(target.stat().st_mode & 0o777)
        with beside.open("rb") as stream:
            os.fsync(stream.fileno())
        beside.replace(target)


def _alone(lake: Lake, place: tuple[str, str, date] | None) -> AbstractContextManager[None]:
    return lake.alone(*place) if place else nullcontext()


def _folder(name: str) -> str:
    parent = PurePosixPath(name).parent
    return str(parent.parent if _PARTITION.fullmatch(parent.name) else parent)


def _partition(name: str) -> tuple[str, str, date] | None:
    parent = PurePosixPath(name).parent
    match = _PARTITION.fullmatch(parent.name)
    try:
        return (str(parent.parent), match["column"], date.fromisoformat(match["day"])) if match else None
    except ValueError:
        return None
