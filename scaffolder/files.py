"""What repositories of the embedded git host hold, for readers that speak HTTP alone, such as Backstage's."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from backend.core.errors import InvalidInput, NotFound
from scaffolder.git import git_in, read_blob, safe_environment, said
from scaffolder.hosts.base import HostedRepository
from scaffolder.hosts.embedded import EmbeddedHost
from scaffolder.names import shortened
from scaffolder.service import translated

if TYPE_CHECKING:
    from backend.core.config_limits import LimitSettings
    from backend.core.container import Services

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK = 1 << 16


@dataclass(frozen=True)
class FileAt:
    """A file in a commit."""

    blob: str
    size: int


@dataclass(frozen=True)
class RepositoryFiles:
    """The files of one repository."""

    folder: Path
    repository: HostedRepository
    limits: "LimitSettings"

    @classmethod
    def of(cls, services: "Services", host: str, org: str, name: str) -> "RepositoryFiles":
        """Return the files of a repository of an embedded host.

        Raises:
            NotFound: there is no such repository.
            InvalidInput: the host has its own address for them, which is named.
        """
        with translated():
            found = services.hosts.host(host, patience=10.0)
            repository = found.find(org, name)
        if not isinstance(found, EmbeddedHost):
            address = repository.web_url if repository is not None else None
            raise InvalidInput(
                f"host: {host} gives out its files itself",
                fix=f"Read them at {address}." if address else "Read them there.",
                webUrl=address,
            )
        if repository is None:
            raise NotFound(f"{host} has no repository {org}/{name}")
        return cls(found.path(org, name), repository, services.settings.limits)

    def commit(self, ref: str | None) -> str:
        """Return the commit of a branch, a tag or a commit's own id; of the default branch for ``None``.

        What the platform keeps under other references is not given out by their names.

        Raises:
            NotFound: there is none.
        """
        wanted = ref or self.repository.default_branch
        names = [wanted] if _COMMIT.fullmatch(wanted) else [f"refs/heads/{wanted}", f"refs/tags/{wanted}"]
        for name in names:
            if (commit := self._looked_up(f"{name}^{{commit}}", "commit")) is not None:
                return commit.blob
        raise NotFound(f"{self.repository.path} has no branch, tag or commit {shortened(wanted)}", fix="Push it first.")

    def file(self, commit: str, path: str) -> FileAt:
        """Return a file in a commit.

        Raises:
            InvalidInput: the path is none inside of a repository, or the file is too large.
            NotFound: there is no such file.
        """
        if any(part in {"", ".", ".."} for part in path.split("/")):
            raise InvalidInput(f"path: {shortened(path)} is no path of a file in a repository")
        found = self._looked_up(f"{commit}:{path}", "blob")
        if found is None:
            raise NotFound(f"{self.repository.path} has no file {shortened(path, 200)} at {commit[:12]}")
        self._check_size(found.size, self.limits.file_bytes, "fileBytes", f"path: {shortened(path)}")
        return found

    def content(self, file: FileAt) -> bytes:
        """Return a file's content.

        Raises:
            NotFound: it is gone.
        """
        content = read_blob(self.folder, file.blob)
        if content is None:
            raise NotFound(f"{self.repository.path} has no such file any more", fix="Try again.")
        return content

    def archive(self, commit: str) -> Iterator[bytes]:
        """Return the tree of a commit as a gzipped tar, in one folder named after repository and commit.

        Raises:
            InvalidInput: it is too large.
        """
        from git import GitCommandError

        git = git_in(self.folder, safe_environment())
        listed = git.execute(["git", "-C", str(self.folder), "ls-tree", "-r", "-l", "-z", commit])
        sizes = (entry.partition("\t")[0].split()[-1] for entry in str(listed).split("\0") if entry)
        size = sum(int(one) for one in sizes if one.isdigit())
        self._check_size(size, self.limits.archive_bytes, "archiveBytes", "ref: its tree")
        stream = tempfile.TemporaryFile()  # noqa: SIM115 - whoever reads to the end closes it
        command = ["git", "-C", str(self.folder), "archive", "--format=tar.gz"]
        command += [f"--prefix={self.repository.name}-{commit}/", commit]
        try:
            git.execute(command, output_stream=stream)
        except GitCommandError as fault:
            stream.close()
            raise InvalidInput(f"ref: the tree can't be packed: {said(fault)}") from fault
        stream.seek(0)
        return _pieces(stream)

    def _looked_up(self, name: str, kind: str) -> FileAt | None:
        """Return id and size of the object that a name stands for, if it is of this kind."""
        with tempfile.TemporaryFile() as stream:
            stream.write(name.encode() + b"\n")
            stream.seek(0)
            command = [
                "git",
                "-C",
                str(self.folder),
                "cat-file",
                "--batch-check=%(objectname) %(objecttype) %(objectsize)",
            ]
            answer = str(git_in(self.folder, safe_environment()).execute(command, istream=stream)).split(" ")
        return FileAt(answer[0], int(answer[2])) if len(answer) == 3 and answer[1] == kind else None

    def _check_size(self, size: int, most: int, setting: str, what: str) -> None:
        if size > most:
            raise InvalidInput(
                f"{what} has {size} bytes; at most {most} are given out",
                fix=f"Clone the repository instead, or raise limits.{setting}.",
            )


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_CHUNK):
            yield piece
