"""Git on repositories that nobody vouches for.

Everything runs in a git directory of our own that borrows the repository's objects, so that nothing the repository's
configuration, hooks or attributes name is ever run, and nothing is fetched for it. Where a ref of the repository itself
has to be read or moved, the same settings override its own.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffolder.git import git_in
from scaffolder.update.errors import RepositoryFault

FILE, EXECUTABLE, LINK, COMMIT = "100644", "100755", "120000", "160000"
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.quotePath": "true",
    "protocol.allow": "never",
    "gc.auto": "0",
    "commit.gpgSign": "false",
    "advice.addEmbeddedRepo": "false",
}
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_DIFF_OPTS": "",
    "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
    **{f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(_SETTINGS)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(_SETTINGS.values())},
}
"""What git is told wherever it reads something of a model repository."""


@dataclass(frozen=True)
class Entry:
    """What a tree holds at a path: git's mode (six octal digits) and the object's id."""

    mode: str
    oid: str


Tree = Mapping[str, Entry]
"""All files, links and submodules of a tree by their POSIX path."""


@dataclass(frozen=True)
class Ran:
    """How a git command ended."""

    status: int
    out: bytes
    err: bytes


def run_git(folder: Path, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Ran:
    """Run git in ``folder`` with :data:`ENVIRONMENT`; whatever it answers is returned."""
    process = git_in(folder).execute(
        ["git", "-C", str(folder), *arguments],
        istream=subprocess.PIPE,
        as_process=True,
        env={**ENVIRONMENT, **(environment or {})},
    )
    out, err = process.communicate(stdin)
    return Ran(process.returncode, out, err)


def git_folder(repository: Path) -> Path:
    """Return the git directory that holds a repository's refs and objects, bare or not.

    Raises:
        RepositoryFault: there is none.
    """
    folder = repository
    dot = repository / ".git"
    if dot.is_dir():
        folder = dot
    elif dot.is_file():
        folder = _pointed_to(dot, "gitdir:")
    if (common := folder / "commondir").is_file():
        folder = _pointed_to(common, "")
    if not ((folder / "objects").is_dir() and (folder / "HEAD").exists()):
        raise RepositoryFault(f"{repository} is not a git repository")
    return folder.absolute()


def _pointed_to(path: Path, prefix: str) -> Path:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise RepositoryFault(f"{path} can't be read") from fault
    return path.parent / text.removeprefix(prefix).strip()


class ObjectStore:
    """A git directory made in ``folder`` (which must be empty) that sees the objects of others and writes its own.

    ``run`` writes objects here; with ``into`` they go to that objects directory instead.
    """

    def __init__(self, folder: Path, *borrowed: Path) -> None:
        self.folder = folder
        for name in ("objects/info", "refs"):
            (folder / name).mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")
        (folder / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n", encoding="ascii")
        lines = b"".join(_quoted(os.fsencode(objects.absolute())) + b"\n" for objects in borrowed)
        (folder / "objects" / "info" / "alternates").write_bytes(lines)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: str | None = None,
        work_tree: Path | None = None,
        into: Path | None = None,
        check: bool = True,
    ) -> Ran:
        """Run git here.

        Args:
            arguments: The command and its arguments.
            stdin: What it reads.
            index: Name of the index file to use, in this folder.
            work_tree: The files it works on; it is run there.
            into: An objects directory to write to.
            check: Whether a status other than 0 is an error.

        Raises:
            RepositoryFault: git failed, and ``check``.
        """
        environment = {"GIT_DIR": str(self.folder)}
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(self.folder / index)
        if work_tree is not None:
            environment["GIT_WORK_TREE"] = str(work_tree)
        if into is not None:
            environment["GIT_OBJECT_DIRECTORY"] = str(into)
        ran = run_git(work_tree or self.folder, *arguments, stdin=stdin, environment=environment)
        if check and ran.status != 0:
            said = ran.err.decode(errors="replace").strip()
            raise RepositoryFault(f"git {arguments[0]} failed: {said or f'status {ran.status}'}")
        return ran

    def tree(self, treeish: str) -> dict[str, Entry]:
        """Return everything below a commit or tree."""
        return _entries(self.run("ls-tree", "-r", "-z", "--full-tree", treeish).out, oid_at=2)

    def indexed(self, index: str) -> dict[str, Entry]:
        """Return everything in an index."""
        return _entries(self.run("ls-files", "--stage", "-z", index=index).out, oid_at=1)

    def fill_index(self, index: str, entries: Mapping[str, Entry | None], *, into: Path | None = None) -> None:
        """Put entries into an index; ``None`` takes a path out."""
        lines = [
            os.fsencode(f"{entry.mode} {entry.oid}\t{path}" if entry is not None else f"0 {'0' * 40}\t{path}")
            for path, entry in entries.items()
        ]
        self.run(
            "update-index", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines), index=index, into=into
        )

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Return the content of objects by their id.

        Raises:
            RepositoryFault: one is not there.
        """
        wanted = sorted(set(oids))
        out = (
            self.run("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in wanted).encode()).out if wanted else b""
        )
        found, position = {}, 0
        for oid in wanted:
            end = out.index(b"\n", position)
            header = out[position:end].split(b" ")
            if header[-1] == b"missing":
                raise RepositoryFault(
                    f"the repository lacks the object {oid}", fix="fetch all of the repository's objects"
                )
            size = int(header[2])
            found[oid] = out[end + 1 : end + 1 + size]
            position = end + 1 + size + 1
        return found

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Return the size in bytes of each object, without reading them."""
        wanted = sorted(set(oids))
        if not wanted:
            return {}
        request = "".join(f"{oid}\n" for oid in wanted).encode()
        lines = self.run("cat-file", "--batch-check", stdin=request).out.decode("ascii").splitlines()
        return {
            oid: 0 if line.endswith("missing") else int(line.split(" ")[2])
            for oid, line in zip(wanted, lines, strict=True)
        }


def _entries(listed: bytes, *, oid_at: int) -> dict[str, Entry]:
    """Read what ``ls-tree -z`` or ``ls-files --stage -z`` lists; the object's id is the fact number ``oid_at``."""
    found = {}
    for line in listed.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        words = facts.decode("ascii").split(" ")
        found[os.fsdecode(path)] = Entry(words[0], words[oid_at])
    return found


def _quoted(path: bytes) -> bytes:
    """Quote a path as git's alternates file wants it, whatever bytes it has."""
    plain = range(0x20, 0x7F)
    return (
        b'"'
        + b"".join(bytes([byte]) if byte in plain and byte not in b'"\\' else b"\\%03o" % byte for byte in path)
        + b'"'
    )
