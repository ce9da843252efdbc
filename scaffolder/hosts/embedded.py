"""The embedded host: bare repositories in the platform's home folder, ``git/<org>/<name>.git``."""

import re
import shutil
import tempfile
from pathlib import Path

from scaffolder.errors import Collision, HostError, InvalidAnswer
from scaffolder.git import git_in, initialise
from scaffolder.hosts.base import HostedRepository
from scaffolder.names import check_name, shortened

_ORG = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


class EmbeddedHost:
    """Bare repositories below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def exists(self, org: str, name: str) -> bool:
        """Say whether there is a repository of that name."""
        return self._path(org, name).exists()

    def create(self, org: str, name: str, description: str) -> HostedRepository:
        """Create an empty repository under a temporary name and put it in place whole."""
        from git import GitCommandError

        path = self._path(org, name)
        if path.exists():
            raise Collision(f"there is a repository {org}/{name} already", fix="choose another name")
        staged = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(dir=path.parent, prefix=".new-"))
            initialise(staged, bare=True)
            (staged / "description").write_text(f"{description}\n", encoding="utf-8")
            git = git_in(staged)
            git.config("receive.denyDeletes", "true")
            git.config("receive.denyNonFastForwards", "true")
            # A rename replaces an empty folder only, and a repository is never empty: the name is taken once.
            staged.rename(path)
        except GitCommandError as fault:
            raise HostError(f"the repository could not be created: {str(fault.stderr).strip()}") from fault
        except OSError as fault:
            if path.exists():
                raise Collision(f"there is a repository {org}/{name} already", fix="choose another name") from fault
            raise HostError(f"the repository could not be created: {fault}") from fault
        finally:
            if staged is not None:
                shutil.rmtree(staged, ignore_errors=True)
        return HostedRepository(org, name, str(path))

    def remove(self, repository: HostedRepository) -> None:
        """Delete the bare repository: moved aside first, so that nobody sees half of it."""
        path = self._path(repository.org, repository.name)
        try:
            aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".gone-"))
            path.rename(aside)
        except FileNotFoundError:
            return
        shutil.rmtree(aside, ignore_errors=True)

    def _path(self, org: str, name: str) -> Path:
        if not _ORG.fullmatch(org):
            raise InvalidAnswer(
                f"{shortened(org)} can't be an organisation on the git host: letters, digits and single hyphens"
            )
        return self.root / org / f"{check_name(name)}.git"
