"""What is done for a repository, step by step. Each step bears being called again, wherever the process was killed before."""

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.errors import NotFound, PlatformError
from catalog.models import LocationState
from catalog.refs import full_ref
from catalog.service import Place
from scaffolder import repository
from scaffolder.errors import HostError, HostUnavailable, ScaffoldError
from scaffolder.git import BRANCH, Author, first_commit, push
from scaffolder.hosts.base import GitHost, HostedRepository, NewRepository
from scaffolder.models import ENDED, ProgressState, Scaffold, ScaffoldState, Step

if TYPE_CHECKING:
    from backend.core.container import Services

WORK = (Step.RENDER, Step.COMMIT, Step.CREATE, Step.PUSH, Step.PROTECT, Step.REGISTER)
DONE, FAILED = "done", "failed"
_WORTH_TELLING = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class Cancelled(ScaffoldError):
    """Somebody wants the scaffold stopped."""


class ScaffoldSteps:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._done: dict[Step, Callable[[Scaffold], str]] = {
            Step.RENDER: self._render,
            Step.COMMIT: self._commit,
            Step.CREATE: self._create,
            Step.PUSH: self._push,
            Step.PROTECT: self._protect,
            Step.REGISTER: self._register,
        }

    def run(self, id: str, step: Step) -> str:
        """Do a step, unless the scaffold is to end; return whether it is done."""
        row = self._read(id)
        if row.state in (*ENDED, ScaffoldState.CLEANING_UP):
            return FAILED
        if self._is_done(id, step):
            return DONE  # the process was killed after the step was noted, and before the workflow knew
        try:
            self._check_cancel(row)
            self._begin(id, step)
            message = self._done[step](self._read(id))
        except Cancelled as cancelled:
            self._fail(id, step, cancelled.message, None)
        except ScaffoldError as fault:
            self._fail(id, step, fault.message, fault.fix)
        except PlatformError as fault:
            self._fail(id, step, fault.detail, fault.fix)
        else:
            self._note(id, step, ProgressState.DONE, message)
            return DONE
        return FAILED

    def finish(self, id: str) -> None:
        """Say that the repository is there."""
        with self._services.database.write() as session:
            row = repository.lock(session, id)
            if row.state in ENDED:
                return
            row.state, row.step, row.finished_at = ScaffoldState.DONE, Step.FINISH, self._services.clock.now()
            self._services.scaffolds.note(
                session, row, Step.FINISH, ProgressState.DONE, f"{row.name} is ready: {row.web_url or row.clone_url}"
            )
            self._services.scaffolds.record(
                session, row, "completed", PLATFORM, repository=row.clone_url, commit=row.commit
            )
            self._services.metrics.scaffolds.labels("done").inc()

    def settle(self, id: str) -> None:
        """Take the claim off a repository that is there, and the working folder away."""
        row = self._read(id)
        shutil.rmtree(self._folder(row), ignore_errors=True)
        try:
            self._host(row).settle(self._hosted(row), self._new(row))
        except HostError as fault:
            self._note(id, Step.FINISH, ProgressState.DONE, f"the description keeps the scaffold's id: {fault.message}")
        with contextlib.suppress(HostError):  # the next pass over the fleet sees it
            self._services.fleet.see((row.host, row.org, row.name))

    def clean_up(self, id: str) -> None:
        """Take back what was made, however long the host is down, and say how it ended."""
        row = self._read(id)
        if row.state in ENDED:
            return
        self._begin(id, Step.CLEAN_UP, state=ScaffoldState.CLEANING_UP)
        left = self._take_back(row)
        shutil.rmtree(self._folder(row), ignore_errors=True)
        with self._services.database.write() as session:
            row = repository.lock(session, id)
            if row.location_id is not None:
                with contextlib.suppress(NotFound):
                    self._services.catalog.unregister(session, PLATFORM, row.location_id)
                row.location_id = None
            self._end(session, row, left)

    def give_up(self, id: str, reason: str) -> None:
        """End a scaffold that can't go on: it is cleaned up next, or (if that is what failed) ends as it is."""
        with self._services.database.write() as session:
            row = repository.lock(session, id)
            if row.state in ENDED:
                return
            if row.state == ScaffoldState.CLEANING_UP:
                self._end(session, row, reason)
            else:
                row.state, row.reason = ScaffoldState.CLEANING_UP, reason
                self._services.scaffolds.note(session, row, Step(row.step), ProgressState.FAILED, reason)

    # steps

    def _render(self, row: Scaffold) -> str:
        folder = self._folder(row)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        release = self._services.templates.release(row.template, row.template_version)
        self._services.rendering.render(release, row.answers, folder / "repository")
        return f"rendered {row.template} {row.template_version}"

    def _commit(self, row: Scaffold) -> str:
        folder = self._folder(row) / "repository"
        if not folder.is_dir():
            self._render(row)
        shutil.rmtree(folder / ".git", ignore_errors=True)
        message = f"Start {row.name} from {row.template} {row.template_version}"
        commit = first_commit(folder, message, author=self._author(row), at=row.requested_at)
        self._change(row.id, commit=commit)
        return f"first commit {commit[:12]}"

    def _create(self, row: Scaffold) -> str:
        self._change(row.id, began_to_create=True)
        made = self._host(row).create(self._new(row))
        self._change(row.id, clone_url=made.clone_url, web_url=made.web_url)
        return f"made {made.path} on {made.host}"

    def _push(self, row: Scaffold) -> str:
        host, folder = self._host(row), self._folder(row) / "repository"
        if not (folder / ".git").is_dir():
            self._commit(row)
            row = self._read(row.id)
        hosted = self._hosted(row)
        self._pushed(row, host, hosted, folder)
        if (head := host.branches(hosted).get(BRANCH)) != row.commit:
            raise HostError(f"{hosted.path} holds {head or 'nothing'} where {row.commit} was pushed")
        return f"pushed {BRANCH} to {hosted.path}"

    def _pushed(self, row: Scaffold, host: GitHost, hosted: HostedRepository, folder: Path) -> None:
        """Push, and again while the host does not take it for a reason that may pass."""
        until = time.monotonic() + self._services.settings.scaffolds.patience.total_seconds()
        pause = _FIRST_PAUSE
        while True:
            try:
                push(folder, host.access(hosted))
                return
            except HostUnavailable:
                raise
            except HostError as fault:
                if host.branches(hosted).get(BRANCH) == row.commit:
                    return  # the answer was lost
                if time.monotonic() + pause > until or "rejected" in fault.message:
                    raise
            self._wait(row.id, pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _protect(self, row: Scaffold) -> str:
        protection = self._services.hosts.protection(row.host)
        if protection is None:
            return f"{BRANCH} is left open, as the settings of {row.host} say"
        host = self._host(row)
        # As the host sees it now: an organisation may have its own idea of a default branch.
        host.protect(host.find(row.org, row.name) or self._hosted(row), protection)
        return f"{BRANCH} takes changes by pull request only"

    def _register(self, row: Scaffold) -> str:
        place = Place(row.host, row.org, row.name)
        found = self._services.catalog.read(place)
        if found.state is LocationState.GONE:
            return f"the template brings no {place.path}, so the catalog does not show the repository"
        with self._services.database.write() as session:
            location, _ = self._services.catalog.register(session, row.requested_by, place, found)
            repository.lock(session, row.id).location_id = location.id
        return f"{len(found.reading.entities)} entities are in the catalog"

    # what they share

    def _take_back(self, row: Scaffold) -> str | None:
        """Remove the repository that was made, if one was; return what is left when that could not be done."""
        if not row.began_to_create:
            return None
        until = time.monotonic() + self._services.settings.scaffolds.clean_up_patience.total_seconds()
        pause = _FIRST_PAUSE
        while True:
            try:
                host = self._services.hosts.host(row.host, patience=30.0, sleep=self._plain_wait)
                host.remove(row.org, row.name, row.id)
                return None
            except HostError as fault:
                if time.monotonic() + pause > until:
                    return f"the repository {row.org}/{row.name} on {row.host} is still there: {fault.message}"
                self._note(row.id, Step.CLEAN_UP, ProgressState.WAITING, f"{fault.message}; trying again")
            self._plain_wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _end(self, session: Session, row: Scaffold, left: str | None) -> None:
        cancelled = row.cancel_requested_by is not None
        row.state = ScaffoldState.CANCELLED if cancelled else ScaffoldState.FAILED
        row.cleaned_up, row.finished_at = left is None, self._services.clock.now()
        row.reason = row.reason or "it could not go on"
        said = "everything that was made is taken back" if left is None else left
        state = ProgressState.DONE if left is None else ProgressState.FAILED
        self._services.scaffolds.note(session, row, Step.CLEAN_UP, state, said)
        event = "cancelled" if cancelled else "failed"
        actor = row.cancel_requested_by or PLATFORM
        self._services.scaffolds.record(session, row, event, actor, reason=row.reason, left=left, step=row.step)
        self._services.metrics.scaffolds.labels(row.state).inc()

    def _read(self, id: str) -> Scaffold:
        with self._services.database.read() as session:
            return self._services.scaffolds.get(session, id)

    def _change(self, id: str, **values: object) -> None:
        with self._services.database.write() as session:
            row = repository.lock(session, id)
            for name, value in values.items():
                setattr(row, name, value)

    def _begin(self, id: str, step: Step, state: ScaffoldState = ScaffoldState.RUNNING) -> None:
        with self._services.database.write() as session:
            row = repository.lock(session, id)
            row.state = state
            if step is not Step.CLEAN_UP:
                row.step = step  # the step that failed stays to be seen
            last = repository.last_event(session, id)
            if last is None or (last.step, last.state) != (step, ProgressState.RUNNING):
                self._services.scaffolds.note(session, row, step, ProgressState.RUNNING, _DOING[step])

    def _note(self, id: str, step: Step, state: ProgressState, message: str) -> None:
        with self._services.database.write() as session:
            row = repository.lock(session, id)
            last = repository.last_event(session, id)
            if last is None or (last.step, last.state, last.message) != (step, state, message):
                self._services.scaffolds.note(session, row, step, state, message)

    def _fail(self, id: str, step: Step, reason: str, fix: str | None) -> None:
        with self._services.database.write() as session:
            row = repository.lock(session, id)
            row.state, row.reason, row.fix = ScaffoldState.CLEANING_UP, reason, fix
            self._services.scaffolds.note(session, row, step, ProgressState.FAILED, reason)

    def _is_done(self, id: str, step: Step) -> bool:
        with self._services.database.read() as session:
            events = repository.events(session, id)
        return any((event.step, event.state) == (step, ProgressState.DONE) for event in events)

    def _check_cancel(self, row: Scaffold) -> None:
        if row.cancel_requested_by is not None:
            raise Cancelled(f"{row.cancel_requested_by} cancelled it")

    def _host(self, row: Scaffold) -> GitHost:
        def sleep(seconds: float) -> None:
            if seconds >= _WORTH_TELLING:
                self._note(
                    row.id, Step(row.step), ProgressState.WAITING, f"waiting {seconds:.0f} s, as {row.host} wants it"
                )
            self._wait(row.id, seconds)

        patience = self._services.settings.scaffolds.patience.total_seconds()
        return self._services.hosts.host(row.host, patience=patience, sleep=sleep)

    def _wait(self, id: str, seconds: float) -> None:
        """Wait, unless the runtime stops or somebody cancels."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._services.runtime.wait(min(left, 1.0))
            self._check_cancel(self._read(id))

    def _plain_wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._services.runtime.wait(left)

    def _new(self, row: Scaffold) -> NewRepository:
        private = self._services.hosts.is_private(row.host)
        return NewRepository(row.org, row.name, row.description, row.id, private)

    def _hosted(self, row: Scaffold) -> HostedRepository:
        return HostedRepository(row.host, row.org, row.name, row.clone_url or "", row.web_url)

    def _folder(self, row: Scaffold) -> Path:
        return self._services.settings.home / "scaffolds" / row.id

    def _author(self, row: Scaffold) -> Author:
        """Return who the first commit is by: whoever asked, as the catalog knows them."""
        name = row.requested_by.rpartition("/")[2].rpartition(":")[2]
        email = f"{name}@localhost"
        if row.requested_by.startswith("user:"):
            with self._services.database.read() as session:
                try:
                    user = self._services.catalog.entity(session, full_ref(row.requested_by, kind="user"))
                except NotFound:
                    return Author(name, email)
            profile = (user.document or {}).get("spec", {}).get("profile") or {}
            name, email = str(profile.get("displayName") or name), str(profile.get("email") or email)
        return Author(" ".join(name.split()) or "somebody", "".join(email.split()))


_DOING = {
    Step.RENDER: "rendering the template",
    Step.COMMIT: "making the first commit",
    Step.CREATE: "making the repository on the git host",
    Step.PUSH: "pushing",
    Step.PROTECT: "protecting the default branch",
    Step.REGISTER: "registering in the catalog",
    Step.CLEAN_UP: "taking back what was made",
}
