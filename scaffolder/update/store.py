"""The template's versions, each checked out once and shared by everything that renders it."""

import hashlib
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffolder.names import shortened
from scaffolder.update.errors import TemplateFault, UnknownVersion, UnsafeTemplate
from scaffolder.update.plumbing import COMMIT, Ran, run_git

_HASH_LENGTH = 40
_FACTS = "facts.json"
_TREE = "tree"


@dataclass(frozen=True)
class TemplateVersion:
    """A checked-out version of a template.

    Attributes:
        ref: What answers files call it: git's description of the commit, which is the tag where there is one.
        commit: The commit's id.
        version: Its version by PEP 440, or None where Copier can't make one of the description.
        folder: The files; nobody writes there.
        modes: The mode that git has for each file by its POSIX path.
    """

    ref: str
    commit: str
    version: str | None
    folder: Path
    modes: Mapping[str, int]


class TemplateStore:
    """One template's repository, and a folder where its versions are checked out.

    Several processes may share the folder: a version is made under another name and put in place whole.

    Args:
        repository: The template's git repository on this machine.
        cache: Where versions are checked out; made when needed, and safe to delete when nobody uses it.
        addresses: What answers files may call the template in ``_src_path``, besides the repository's own path.
    """

    def __init__(self, repository: Path, *, cache: Path, addresses: Iterable[str] = ()) -> None:
        self.repository = repository.absolute()
        self.cache = cache.absolute()
        self.addresses = frozenset(addresses)
        self._versions: dict[str, TemplateVersion] = {}
        self._lock = threading.Lock()

    def knows(self, address: str) -> bool:
        """Say whether an answers file with this ``_src_path`` is about this template."""
        if address in self.addresses:
            return True
        return "://" not in address and Path(address).absolute() == self.repository

    def version(self, ref: str) -> TemplateVersion:
        """Return the version that a tag, a commit or a description of one names, checked out now if it was not yet.

        Raises:
            UnknownVersion: the template has no such version.
            UnsafeTemplate: it has submodules.
            TemplateFault: it can't be checked out.
        """
        with self._lock:
            if ref not in self._versions:
                self._versions[ref] = self._open(ref)
            return self._versions[ref]

    def _open(self, ref: str) -> TemplateVersion:
        commit = self._resolve(ref)
        described = self._git("describe", "--tags", "--always", commit).out.decode().strip()
        # A tag that is added later changes what the commit is called, and with it what answers files say.
        folder = self.cache / f"{commit}-{hashlib.sha256(described.encode()).hexdigest()[:8]}"
        if not folder.is_dir():
            self._check_out(commit, described, folder)
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        return TemplateVersion(folder=folder / _TREE, **facts)

    def _resolve(self, ref: str) -> str:
        """Find the commit as Copier does, by standard input: what an answers file says is never an argument."""
        if "\n" not in ref and "\r" not in ref and "\0" not in ref:
            for candidate in (ref, f"refs/remotes/origin/{ref}"):
                asked = f"{candidate}^{{commit}}\n".encode(errors="surrogateescape")
                found = (
                    self._git("cat-file", "--batch-check=%(objectname)", stdin=asked)
                    .out.decode(errors="replace")
                    .strip()
                )
                if len(found) == _HASH_LENGTH and found.isalnum():
                    return found
        raise UnknownVersion(
            f"the template has no version {shortened(ref)}",
            fix="name one of its tags; if the answers file names it, put _commit back as it was in the repository's history",
        )

    def _check_out(self, commit: str, described: str, folder: Path) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=self.cache, prefix=".new-"))
        try:
            tree = staging / _TREE
            # A local clone needs git's own transport, which is otherwise off.
            local = {"GIT_ALLOW_PROTOCOL": "file"}
            for arguments in (
                ("clone", "--quiet", "--no-checkout", "--shared", "--template=", "--", str(self.repository), str(tree)),
                ("-C", str(tree), "checkout", "--quiet", "--force", "--detach", commit),
            ):
                ran = run_git(staging, *arguments, environment=local)
                if ran.status != 0:
                    raise TemplateFault(
                        f"the template can't be checked out: {ran.err.decode(errors='replace').strip()}"
                    )
            facts = _facts(tree, commit, described)
            shutil.rmtree(tree / ".git")
            (staging / _FACTS).write_text(json.dumps(facts, sort_keys=True), encoding="utf-8")
            try:
                staging.rename(folder)
            except OSError:  # somebody else was faster with the same
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _git(self, *arguments: str, stdin: bytes = b"") -> Ran:
        if not self.repository.is_dir():
            raise TemplateFault(f"the template's repository {self.repository} is not there")
        ran = run_git(self.repository, *arguments, stdin=stdin)
        if ran.status != 0:
            raise TemplateFault(f"the template's repository can't be read: {ran.err.decode(errors='replace').strip()}")
        return ran


def _facts(tree: Path, commit: str, described: str) -> dict[str, object]:
    """Say what Copier would about a clone of the template at this commit."""
    from copier._template import Template

    template = Template(url=str(tree), ref=commit)
    template.__dict__.update(vcs="git", local_abspath=tree)
    modes = {path.as_posix(): mode for path, mode in template.git_index_modes.items()}
    if int(COMMIT, 8) in modes.values():
        raise UnsafeTemplate(
            "the template has submodules, which are not fetched", fix="copy their files into the template"
        )
    return {"ref": described, "commit": commit, "version": version_of(tree, described), "modes": modes}


def version_of(tree: Path, described: str) -> str | None:
    """Return the version of a clone's checked-out commit by PEP 440, as Copier reads it; None where it is none.

    Copier's own code moves the whole process into the clone meanwhile, which a server's other threads must not see.
    """
    import dunamai
    from packaging.version import InvalidVersion, Version

    try:
        found = dunamai.Version.from_git(pattern=dunamai.Pattern.DefaultUnprefixed, path=tree)
        return str(Version(found.serialize(style=dunamai.Style.Pep440)))
    except ValueError:
        pass
    if re.match(r"^.+-\d+-g\w+$", described):
        base, count, hashed = described.rsplit("-", 2)
        described = f"{base}.post{count}+{hashed}"
    try:
        return str(Version(described))
    except InvalidVersion:
        return None
