"""What people ask of the scaffolder: decided here; the repositories themselves are made by :mod:`scaffolder.work`.

Whatever can refuse a wish is asked before anything is written: the template (are the answers right?), the owner (may the caller
act for it?), the host, the catalog, the registry and the other scaffolds (is the name free?).
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, ProjectResource
from backend.core.errors import Conflict, InvalidInput, NotFound, PlatformError, Unavailable
from backend.core.ids import new_id
from backend.identity.principal import Principal
from catalog.refs import full_ref
from scaffolder import repository
from scaffolder.api import KINDS
from scaffolder.errors import Collision, HostUnavailable, InvalidAnswer, ScaffoldError
from scaffolder.models import ENDED, ProgressState, Scaffold, ScaffoldEvent, ScaffoldState, Step
from scaffolder.names import NAME_LENGTH, check_name, shortened
from scaffolder.questions import Known, parameters
from scaffolder.release import TEMPLATE, Release

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.scaffolds"
_PATIENCE = 15.0
_DESCRIPTION_LENGTH = 300
_GROUP = re.compile(r"group:[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9._-]*[a-z0-9])?")


class NameTaken(Conflict):
    """Something of that name is there already; ``suggestion`` is a name that is free."""

    slug = "name-taken"
    title = "Name taken"


@dataclass(frozen=True)
class Wish:
    """What somebody asks for."""

    name: str
    type: str | None = None
    template: str = TEMPLATE
    version: str | None = None
    answers: Mapping[str, Any] | None = None
    owner: str | None = None
    host: str | None = None
    org: str | None = None


@dataclass(frozen=True)
class Prepared:
    """A wish that was found right, with everything filled in."""

    wish: Wish
    release: Release
    answers: dict[str, Any]
    """The answers that were given, with name, type and organisation among them."""
    host: str
    org: str
    owner: str
    description: str


class ScaffoldService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def questions(self, caller: Principal, template: str, version: str | None) -> tuple[Release, list[dict[str, Any]]]:
        """Return a template's version and its questions as pages of a form, with what the platform knows offered."""
        with translated():
            release = self._services.templates.release(template, version)
            asked = self._services.rendering.questions(release)
        with self._services.database.read() as session:
            systems = [row.ref for row in self._services.catalog.names(session, "System")]
        hosts = {one.name: one.org for one in self._services.hosts}
        return release, parameters(asked, Known(sorted(caller.groups), systems, hosts))

    def prepare(self, caller: Principal, wish: Wish) -> Prepared:
        """Find out whether a wish can be granted; nothing is written.

        Raises:
            InvalidInput: the name, an answer, the host or the template is not acceptable.
            Forbidden: the caller may not act for the owner.
            NameTaken: something of that name is there.
            Unavailable: the host or the template's source does not answer.
        """
        with translated():
            check_name(wish.name)
            if wish.template == TEMPLATE and (wish.type or KINDS[0]) not in KINDS:
                raise InvalidAnswer(
                    f"there is no golden path {shortened(str(wish.type))}", fix=f"choose one of {', '.join(KINDS)}"
                )
            settings = self._services.hosts.settings(wish.host)
            release = self._services.templates.release(wish.template, wish.version)
            asked = self._services.rendering.questions(release)
            org = wish.org or str((wish.answers or {}).get("org") or settings.org)
            answers = self._answers(wish, asked, org)
            complete = self._services.rendering.answers(release, answers)
        owner = self._owner(wish, complete)
        with self._services.database.read() as session:
            self._may_make(session, caller, wish.name, owner)
        description = str(complete.get("description") or f"Made from {wish.template}.")[:_DESCRIPTION_LENGTH]
        prepared = Prepared(wish, release, answers, settings.name, org, owner, description)
        with self._services.database.read() as session:
            self._check_free(session, prepared)
        with translated():
            host = self._services.hosts.host(settings.name, patience=_PATIENCE)
            found = host.find(org, wish.name)
        if found is not None:
            with self._services.database.read() as session:
                raise self._taken(session, prepared, f"there is a repository {found.path} on {settings.name} already")
        return prepared

    def files(self, prepared: Prepared) -> list[str]:
        """Return the paths of the files that a repository would begin with.

        Raises:
            InvalidInput: the template can't be rendered with these answers.
        """
        with translated(), tempfile.TemporaryDirectory(prefix="scaffold-plan-") as temporary:
            folder = Path(temporary) / "repository"
            self._services.rendering.render(prepared.release, prepared.answers, folder)
            return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())

    def request(self, session: Session, caller: Principal, prepared: Prepared) -> Scaffold:
        """Reserve the name and have the repository made.

        Raises:
            Forbidden: the policies say no by now.
            NameTaken: somebody was faster.
        """
        decision = self._may_make(session, caller, prepared.wish.name, prepared.owner)
        self._check_free(session, prepared)
        wish, now = prepared.wish, self._services.clock.now()
        row = Scaffold(
            id=new_id(),
            name=wish.name,
            type=prepared.answers.get("type") if wish.template == TEMPLATE else None,
            template=wish.template,
            template_version=prepared.release.tag,
            host=prepared.host,
            org=prepared.org,
            owner=prepared.owner,
            description=prepared.description,
            answers=prepared.answers,
            state=ScaffoldState.PENDING,
            step=Step.RESERVE,
            requested_by=caller.ref,
            requested_at=now,
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:
            raise self._taken(session, prepared, f"a repository {wish.name} is being made already") from None
        self.note(session, row, Step.CHECK, ProgressState.DONE, "the answers are right and the name is free")
        self.note(session, row, Step.RESERVE, ProgressState.DONE, f"the name {wish.name} is reserved")
        self.record(session, row, "requested", caller, host=row.host, org=row.org, access=decision.as_json())
        return row

    def get(self, session: Session, scaffold_id: str) -> Scaffold:
        """Return a scaffold.

        Raises:
            NotFound: there is none with that id.
        """
        row = repository.find(session, scaffold_id)
        if row is None:
            raise NotFound(f"there is no scaffold {scaffold_id[:40]!r}")
        return row

    def cancel(self, session: Session, caller: Principal, scaffold_id: str) -> Scaffold:
        """Have a scaffold that is not over stopped and everything that was made taken back.

        Raises:
            NotFound: there is none with that id.
            Forbidden: the caller is not who asked for it, no member of the owner group and no administrator.
            Conflict: it is over.
        """
        self.get(session, scaffold_id)
        row = repository.lock(session, scaffold_id)
        decision = self._services.access.require(
            session,
            caller,
            Action.CANCEL_SCAFFOLD,
            ProjectResource(
                f"scaffold:{row.name}", (row.owner,), self._services.access.people.behind(row.requested_by)
            ),
            detail=f"{caller.ref} may not cancel this scaffold",
            fix=f"Members of {row.owner} may.",
            event=f"{EVENT}.scaffold.refused",
            verb="cancel",
        )
        if row.state in ENDED:
            raise Conflict(f"the scaffold is {row.state} already", fix="Delete the repository on its host instead.")
        if row.cancel_requested_by is None:
            row.cancel_requested_by = caller.ref
            self.record(session, row, "cancel_requested", caller, access=decision.as_json())
        return row

    def note(self, session: Session, row: Scaffold, step: Step, state: ProgressState, message: str) -> None:
        """Write a step of progress."""
        session.add(
            ScaffoldEvent(
                scaffold_id=row.id,
                seq=repository.next_seq(session, row.id),
                step=step,
                state=state,
                message=message[:2000],
                at=self._services.clock.now(),
            )
        )
        session.flush()

    def record(self, session: Session, row: Scaffold, event: str, actor: Principal | str, **data: Any) -> None:
        """Write an audit event about a scaffold."""
        self._services.audit.append(
            session,
            type=f"{EVENT}.scaffold.{event}",
            subject=f"scaffold:{row.name}",
            actor=actor,
            data={
                "id": row.id,
                "template": f"{row.template} {row.template_version}",
                "owner": row.owner,
                **data,
            },
        )

    def _answers(self, wish: Wish, asked: Mapping[str, Any], org: str) -> dict[str, Any]:
        """Return the answers with those that the wish itself gives, for the questions that the template has."""
        answers = dict(wish.answers or {})
        kind = (wish.type or KINDS[0]) if wish.template == TEMPLATE else wish.type
        for question, value in (("name", wish.name), ("type", kind), ("org", org), ("owner", wish.owner)):
            if value is None or (question not in asked and question not in answers):
                continue
            if answers.setdefault(question, value) != value:
                raise InvalidAnswer(
                    f"{question} is given twice, as {value!r} and as {shortened(str(answers[question]))}"
                )
        return answers

    def _owner(self, wish: Wish, answers: Mapping[str, Any]) -> str:
        owner = wish.owner or answers.get("owner")
        if not isinstance(owner, str) or not owner:
            raise InvalidInput(
                f"the template {wish.template} does not ask who owns the repository", fix="Give `owner`, a group."
            )
        try:
            ref = full_ref(owner, kind="group")
        except ValueError as fault:
            raise InvalidInput(f"owner: {fault}") from None
        if not _GROUP.fullmatch(ref):
            raise InvalidInput(f"owner: {shortened(ref)} is no group", fix="Write group:default/NAME.")
        return ref

    def _may_make(self, session: Session, caller: Principal, name: str, owner: str) -> Decision:
        mine = ", ".join(sorted(caller.groups)) or "none"
        return self._services.access.require(
            session,
            caller,
            Action.CREATE_REPOSITORY,
            ProjectResource(f"scaffold:{name}", (owner,)),
            detail=f"{caller.ref} may not make a repository for {owner}",
            fix=f"Name a group that you are in: {mine}.",
            event=f"{EVENT}.scaffold.refused",
            owner=owner,
            verb="make",
        )

    def _check_free(self, session: Session, prepared: Prepared) -> None:
        if (reason := self._in_the_way(session, prepared.wish.name, prepared.wish.template)) is not None:
            raise self._taken(session, prepared, reason)

    def _in_the_way(self, session: Session, name: str, template: str) -> str | None:
        """Say what has the name already, as far as the platform's own tables know."""
        if (running := repository.under_way(session, name)) is not None:
            return f"a repository {name} is being made already, for {running.owner}"
        if self._services.catalog.component(session, name) is not None:
            return f"there is a component {name} in the catalog already"
        if template == TEMPLATE:
            try:
                self._services.registry.get_model(session, name)
            except NotFound:
                return None
            return f"there is a model {name} in the registry already"
        return None

    def _taken(self, session: Session, prepared: Prepared, reason: str) -> NameTaken:
        name, template = prepared.wish.name, prepared.wish.template
        team = prepared.owner.rpartition("/")[2].replace(".", "-").replace("_", "-")
        for ending in (team, "2", "3", "4", "5"):
            candidate = f"{name[: NAME_LENGTH - len(ending) - 1].rstrip('-')}-{ending}"
            try:
                check_name(candidate)
            except InvalidAnswer:
                continue
            if self._in_the_way(session, candidate, template) is None:
                return NameTaken(reason, fix=f"Choose another name, for example {candidate}.", suggestion=candidate)
        return NameTaken(reason, fix="Choose another name.")


class translated:
    """Turn the scaffolder's errors into the API's."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise the API's error instead."""
        if isinstance(error, ScaffoldError):
            raise as_platform_error(error) from error


def as_platform_error(error: ScaffoldError) -> PlatformError:
    """Return the API's error for one of the scaffolder's."""
    if isinstance(error, HostUnavailable):
        return Unavailable(error.message, fix=error.fix)
    if isinstance(error, Collision):
        return Conflict(error.message, fix=error.fix)
    return InvalidInput(error.message, fix=error.fix)
