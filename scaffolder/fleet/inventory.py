"""Looking at every repository of the hosts: what it came from, how far behind it is, what of it drifted."""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version
from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.errors import NotFound
from backend.core.workflows import RuntimeStopping
from catalog.refs import full_ref, make_ref
from scaffolder.errors import HostError, InvalidAnswer, ScaffoldError
from scaffolder.fleet import repository
from scaffolder.fleet.clones import Clones
from scaffolder.fleet.models import FleetRepository
from scaffolder.fleet.proposing import branch_of
from scaffolder.fleet.repository import Place
from scaffolder.hosts.base import GitHost, HostedRepository, PullState
from scaffolder.names import ANSWERS_FILE
from scaffolder.release import Release
from scaffolder.update.answers import SOURCE, VERSION, read_answers
from scaffolder.update.engine import UpdateEngine

if TYPE_CHECKING:
    from backend.core.container import Services

COUNTED = "ml-platform.fleet.counted"
"""How many repositories came from a template, and how many of them have its newest version."""
_PATIENCE = 60.0
_AT_ONCE = 4
_MOST_DRIFT = 100
_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class KnownTemplate:
    """A template with its versions, oldest first, and what computes drift from it."""

    name: str
    versions: list[str]
    engine: UpdateEngine


@dataclass(frozen=True)
class Behind:
    """A repository that is at an earlier version than it could be."""

    host: str
    org: str
    name: str
    owner: str | None
    version: str


@dataclass
class _Seen:
    """What is known of a repository, as its row keeps it."""

    owner: str | None = None
    commit: str | None = None
    template: str | None = None
    version: str | None = None
    newest: str | None = None
    behind: int | None = None
    drift: list[dict[str, Any]] | None = None
    template_changed_at: datetime | None = None
    number: int | None = None
    request_url: str | None = None
    faults: list[str] = field(default_factory=list)


class InventorySteps:
    """See the module's docstring."""

    def __init__(self, services: "Services", clones: Clones) -> None:
        self._services, self._clones = services, clones

    def look(self, id: str) -> None:
        """Look at all repositories, and forget those that are gone; a host that does not answer changes nothing of its own."""
        with self._services.database.read() as session:
            row = repository.inventory(session, id)
            if row is None or row.finished_at is not None:
                return
        begun = self._services.clock.now()
        templates, faults = self._templates()
        looked, found = [], 0
        for settings in self._services.hosts:
            try:
                host = self._services.hosts.host(settings.name, patience=_PATIENCE)
                # Drawn to the end before anything is forgotten: a listing that breaks off is no proof of absence.
                listed = list(host.templated(host.org))
            except HostError as fault:
                faults.append(f"{settings.name}: {fault.message}")
                continue
            found += self._look_at(host, listed, templates)
            looked.append(settings.name)
        with self._services.database.write() as session:
            for name in repository.unseen(session, looked, begun):
                self._services.overview.repository_changed(session, name)
            repository.forget_unseen(session, looked, begun)
            repository.forget_inventories(session, begun - _KEPT)
            row = repository.inventory(session, id)
            assert row is not None
            row.finished_at, row.found = self._services.clock.now(), found
            row.message = "; ".join(faults)[:2000] or None
            session.flush()
            self._count(session)

    def _count(self, session: Session) -> None:
        """Put on record how current the fleet is: when that has changed, and at the first pass of each month."""
        now, before = self._services.clock.now(), self._services.audit.newest(session, COUNTED)
        known, current = repository.currency(session)
        counts = {"repositories": known, "current": current}
        if before is None or before.data != counts or f"{before.time:%Y-%m}" != f"{now:%Y-%m}":
            self._services.audit.append(session, type=COUNTED, subject="fleet", actor=PLATFORM, data=counts)

    def see(self, place: Place) -> None:
        """Look at one repository now; one that is not there, or whose host does not answer, changes nothing.

        Raises:
            HostError: the host does not answer.
        """
        host = self._services.hosts.host(place[0], patience=_PATIENCE)
        hosted = host.find(place[1], place[2])
        if hosted is not None:
            templates, _faults = self._templates()
            self._keep(hosted, self._seen(host, hosted, templates))

    def behind(self, template: str, version: str, owner: str | None, place: str = "") -> list[Behind]:
        """Return the repositories that are at an earlier version of a template, as they are now, by host and name.

        With ``place`` (``host/org/name``) only that one is looked at.

        Raises:
            HostError: a host does not answer, so that nobody knows which these are.
        """
        store = self._services.rendering.update_engine(self._services.templates.release(template, version)).template
        found = []
        for settings in self._services.hosts:
            host = self._services.hosts.host(settings.name, patience=_PATIENCE)
            for hosted in host.templated(host.org):
                if place and place != f"{hosted.host}/{hosted.org}/{hosted.name}":
                    continue
                content = host.read_file(hosted, ANSWERS_FILE)
                try:
                    answers = read_answers(content or b"")
                except ScaffoldError:
                    continue  # the inventory tells of it
                if not store.knows(answers[SOURCE]) or not is_earlier(answers[VERSION], version):
                    continue
                owns = self._owner(hosted.name, answers.get("owner"))
                if owner is None or owner == owns:
                    found.append(Behind(hosted.host, hosted.org, hosted.name, owns, answers[VERSION]))
        return sorted(found, key=lambda one: (one.host, one.org, one.name))

    def give_up(self, id: str, reason: str) -> None:
        """End a pass that can't go on."""
        with self._services.database.write() as session:
            row = repository.inventory(session, id)
            if row is not None and row.finished_at is None:
                row.finished_at, row.message = self._services.clock.now(), reason

    def _look_at(self, host: GitHost, listed: Sequence[HostedRepository], templates: list[KnownTemplate]) -> int:
        def one(hosted: HostedRepository) -> None:
            if self._services.runtime.halting:
                return
            self._keep(hosted, self._seen(host, hosted, templates))

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inventory") as threads:
            list(threads.map(one, listed))
        if self._services.runtime.halting:
            raise RuntimeStopping
        return len(listed)

    def _seen(self, host: GitHost, hosted: HostedRepository, templates: list[KnownTemplate]) -> _Seen:
        seen = _Seen()
        try:
            with self._clones.fetched(host, hosted) as clone:
                seen.commit = clone.commit_of(hosted.default_branch)
                content = host.read_file(hosted, ANSWERS_FILE, seen.commit)
                answers = read_answers(content or b"")
                seen.version = answers[VERSION]
                seen.owner = self._owner(hosted.name, answers.get("owner"))
                template = next((one for one in templates if one.engine.template.knows(answers[SOURCE])), None)
                if seen.commit is None or template is None:
                    seen.faults.append(f"it comes from {answers[SOURCE][:200]}, which is no template of this platform")
                    return seen
                seen.template, seen.newest = template.name, template.versions[-1]
                seen.behind = versions_behind(seen.version, template.versions)
                if seen.behind is None:
                    seen.faults.append(f"{template.name} has no version {seen.version[:100]}")
                seen.template_changed_at = clone.template_changed_at(seen.commit)
                pull = host.find_pull(hosted, branch_of(template.name))
                if pull is not None and pull.state is PullState.OPEN:
                    seen.number, seen.request_url = pull.number, pull.web_url
                drifted = template.engine.drift(clone.path, seen.commit, name=hosted.name)
                seen.drift = [
                    {"path": drift.path, "change": drift.change.value, "added": drift.added, "deleted": drift.deleted}
                    for drift in drifted[:_MOST_DRIFT]
                ]
        except (ScaffoldError, OSError) as fault:
            seen.faults.append(str(fault))
        if seen.owner is None:
            seen.owner = self._owner(hosted.name, None)
        return seen

    def _owner(self, name: str, answered: object) -> str | None:
        """Return the owner that the catalog knows, or else the one that the answers name."""
        with self._services.database.read() as session, contextlib.suppress(NotFound):
            if owner := self._services.catalog.entity(session, make_ref("component", "default", name)).owner:
                return owner
        with contextlib.suppress(ValueError):
            return full_ref(answered, kind="group") if isinstance(answered, str) and answered else None
        return None

    def _keep(self, hosted: HostedRepository, seen: _Seen) -> None:
        values = asdict(seen)
        fault = "; ".join(values.pop("faults"))[:2000] or None
        with self._services.database.write() as session:
            row = repository.fleet_repository(session, (hosted.host, hosted.org, hosted.name))
            if row is None:
                row = FleetRepository(host=hosted.host, org=hosted.org, name=hosted.name)
                session.add(row)
            for name, value in values.items():
                setattr(row, name, value)
            row.web_url, row.fault, row.seen_at = hosted.web_url, fault, self._services.clock.now()
            self._services.overview.repository_changed(session, hosted.name)

    def _templates(self) -> tuple[list[KnownTemplate], list[str]]:
        known, faults = [], []
        for info in self._services.templates.all():
            try:
                release: Release = self._services.templates.release(info.name)
                versions = self._services.templates.versions(info.name)
            except (ScaffoldError, InvalidAnswer) as fault:
                faults.append(f"{info.name}: {fault.message}")
                continue
            known.append(KnownTemplate(info.name, versions, self._services.rendering.update_engine(release)))
        return known, faults


def versions_behind(version: str, versions: Sequence[str]) -> int | None:
    """Return how many of a template's versions are later than this one; nothing if it is none of a template's.

    A version that was described by git (``v0.1.0-3-gabcdef``, of a repository made from an untagged commit) counts as the tag it
    begins with.
    """
    own = _parsed(version) or _parsed(version.partition("-")[0])
    parsed = [one for one in map(_parsed, versions) if one is not None]
    if own is None or own not in parsed:
        return None
    return sum(one > own for one in parsed)


def is_earlier(version: str, than: str) -> bool:
    """Say whether a version comes before another; one that can't be told is taken for an earlier one, and looked at."""
    own, other = _parsed(version), _parsed(than)
    return own is None or other is None or own < other


def _parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
