"""The catalog's operations: locations, what is read from them, and the stream of changes."""

import hashlib
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy.orm import Session

from backend.access.resources import Action, ProjectResource
from backend.core.config import API_PREFIX
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from backend.core.ids import new_id
from backend.identity.principal import Principal
from catalog import repository
from catalog.entities import AnyEntity, owner_of, system_of
from catalog.models import EntityRow, Location, LocationState
from catalog.reader import OF_REPOSITORIES, Reading, read_entities
from catalog.refs import DEFAULT_NAMESPACE, full_ref, make_ref
from mlplatform.spec.faults import Fault
from scaffolder.errors import HostError, InvalidAnswer
from scaffolder.hosts.base import HostedRepository

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.catalog"
FILE = "catalog-info.yaml"
_PATIENCE = 15.0
_MOST_ENTITIES = 100_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a location is."""

    host: str
    org: str
    repository: str
    path: str = FILE

    @property
    def shown(self) -> str:
        """The place in one line, for people and audit events."""
        return f"{self.host}:{self.org}/{self.repository}/{self.path}"


@dataclass(frozen=True)
class Found:
    """What reading a place came to."""

    state: LocationState
    reading: Reading
    commit: str | None = None
    web_url: str | None = None
    reason: str | None = None


class CatalogService:
    """See the module's docstring. Reading happens outside of transactions, since hosts may take their time."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def read(self, place: Place, *, hosted: HostedRepository | None = None) -> Found:
        """Read a place from its host; what goes wrong is in the result."""
        try:
            host = self._services.hosts.host(place.host, patience=_PATIENCE)
            found = hosted or host.find(place.org, place.repository)
            commit = None if found is None else host.head(found)
            raw = None if found is None or commit is None else host.read_file(found, place.path, commit)
        except InvalidAnswer as fault:
            return Found(LocationState.GONE, Reading(), reason=fault.message)
        except HostError as fault:
            return Found(LocationState.UNREACHABLE, Reading(), reason=fault.message)
        if found is None or raw is None:
            missing = "the repository" if found is None else place.path
            return Found(LocationState.GONE, Reading(), commit, reason=f"{missing} is not there")
        reading = read_entities(place.path, raw, kinds=OF_REPOSITORIES)
        state = LocationState.FAULTY if reading.faults else LocationState.FRESH
        return Found(state, reading, commit, found.web_url)

    def register(self, session: Session, caller: Principal | str, place: Place, found: Found) -> tuple[Location, bool]:
        """Take a location into the catalog, or bring it up to date; return it, and whether it is new.

        Raises:
            InvalidInput: the file is not there, or nothing in it is right.
            Forbidden: the caller is in none of the groups that own what it declares.
            Conflict: another location declares the same.
            Unavailable: the host did not answer.
        """
        self._check_readable(place, found)
        permitted: dict[str, Any] = {}
        if isinstance(caller, Principal):
            owners = {owner for entity in found.reading.entities if (owner := owner_of(entity)) is not None}
            permitted = self._may(session, caller, Action.REGISTER_ENTITIES, place, owners, "register")
        lock_for_transaction(session, "catalog")
        row = repository.location_at(session, place.host, place.org, place.repository, place.path)
        new = row is None
        if row is None:
            taken = self._taken(session, None, found.reading.entities)
            if taken:
                raise Conflict(
                    f"{taken[0].ref} is declared by another location already",
                    fix="Give the entity another name, or unregister the other location.",
                    location=taken[0].location_id,
                )
            now = self._services.clock.now()
            row = Location(
                id=new_id(),
                host=place.host,
                org=place.org,
                repository=place.repository,
                path=place.path,
                state=found.state,
                faults=[],
                registered_by=caller if isinstance(caller, str) else caller.ref,
                registered_at=now,
                read_at=now,
            )
            session.add(row)
            session.flush()
            self._services.audit.append(
                session,
                type=f"{EVENT}.location.registered",
                subject=f"location:{place.shown}",
                actor=caller,
                data={"id": row.id, "entities": [entity.ref for entity in found.reading.entities], **permitted},
            )
        self.apply(session, row, found)
        return row, new

    def apply(self, session: Session, row: Location, found: Found) -> None:
        """Bring the entities of a location to what was read.

        A file with a fault in it changes what is right and takes nothing away; a host that does not answer changes nothing.
        """
        lock_for_transaction(session, "catalog")
        row.state, row.read_at = found.state, self._services.clock.now()
        if found.state is LocationState.UNREACHABLE:
            row.faults = [_as_json(Fault(1, 1, "", found.reason or "the host does not answer"))]
            return
        moved = found.web_url is not None and found.web_url != row.web_url
        row.commit, row.web_url = found.commit, found.web_url or row.web_url
        faults = list(found.reading.faults)
        if found.state is LocationState.GONE:
            faults = [Fault(1, 1, "", found.reason or "it is not there any more")]
        taken = {one.ref for one in self._taken(session, row.id, found.reading.entities)}
        wanted: dict[str, tuple[AnyEntity, dict[str, Any]]] = {}
        for entity, document in zip(found.reading.entities, found.reading.documents, strict=True):
            if entity.ref in taken:
                faults.append(Fault(1, 1, "metadata.name", f"{entity.ref} is declared by another location already"))
            else:
                wanted[entity.ref] = entity, document
        if faults and found.state is LocationState.FRESH:
            row.state = LocationState.FAULTY
        row.faults = [_as_json(fault) for fault in faults[:100]]
        if moved:
            self._moved(session, row)
        for ref, (entity, document) in wanted.items():
            self._put(session, row, ref, entity, document)
        if row.state != LocationState.FAULTY:
            for present in repository.of_location(session, row.id):
                if present.ref not in wanted:
                    self._take_away(session, present)
        session.flush()

    def unregister(self, session: Session, caller: Principal | str, location_id: str) -> Location:
        """Take a location out of the catalog, with what it declares.

        Raises:
            NotFound: there is none with that id.
            Forbidden: the caller is in none of the owning groups and no platform administrator.
        """
        row = self.location(session, location_id)
        place = Place(row.host, row.org, row.repository, row.path)
        if row.host == repository.PLATFORM_HOST:
            raise Conflict("the platform's own sources can't be unregistered")
        lock_for_transaction(session, "catalog")
        declared = repository.of_location(session, row.id)
        permitted: dict[str, Any] = {}
        if isinstance(caller, Principal):
            owners = {one.owner for one in declared if one.owner}
            by = row.registered_by
            permitted = self._may(session, caller, Action.UNREGISTER_ENTITIES, place, owners, "unregister", by)
        for one in declared:
            self._take_away(session, one)
        session.delete(row)
        self._services.audit.append(
            session,
            type=f"{EVENT}.location.unregistered",
            subject=f"location:{place.shown}",
            actor=caller,
            data={"id": row.id, "entities": [one.ref for one in declared], **permitted},
        )
        return row

    def location(self, session: Session, location_id: str) -> Location:
        """Return a location.

        Raises:
            NotFound: there is none with that id.
        """
        row = repository.location(session, location_id)
        if row is None:
            raise NotFound(f"there is no location {location_id[:40]!r}")
        return row

    def file_url(self, row: Location) -> str | None:
        """Return the address at which a location's file can be read; nothing if it has none.

        GitHub and GitLab take ``HEAD`` for whatever the default branch is.
        """
        kind = next((one.kind for one in self._services.hosts if one.name == row.host), None)
        path = quote(row.path)
        if kind == "embedded":
            repository_url = f"{self._services.settings.base_url}{API_PREFIX}/git/{row.host}/{row.org}/{row.repository}"
            return f"{repository_url}/files/{path}"
        if kind is None or row.web_url is None:
            return None
        return f"{row.web_url.rstrip('/')}/{'-/' if kind == 'gitlab' else ''}blob/HEAD/{path}"

    def entity(self, session: Session, ref: str) -> EntityRow:
        """Return an entity by its reference; what it leaves out is a component in the default namespace.

        Raises:
            NotFound: there is none.
        """
        try:
            full = full_ref(ref, kind="component")
        except ValueError as fault:
            raise NotFound(str(fault)) from None
        row = repository.entity(session, full)
        if row is None:
            raise NotFound(f"there is no {full} in the catalog")
        return row

    def component(self, session: Session, name: str) -> EntityRow | None:
        """Return the component of that name in the default namespace, if there is one."""
        return repository.entity(session, make_ref("component", DEFAULT_NAMESPACE, name))

    def components(self, session: Session, names: Sequence[str]) -> set[str]:
        """Return those of these names that components in the default namespace have."""
        return {
            row.name
            for row in repository.present(session, [make_ref("component", DEFAULT_NAMESPACE, one) for one in names])
        }

    def known(self, session: Session, refs: Sequence[str]) -> set[str]:
        """Return those of these entity refs, in lower case, that the catalog has."""
        return {row.ref for row in repository.present(session, refs)}

    def groups_of(self, session: Session, actors: Collection[str]) -> dict[str, set[str]]:
        """Return the groups that the catalog knows users to be in, by the user's reference as it was given."""
        found: dict[str, set[str]] = {actor: set() for actor in actors}
        rows = {row.ref: row for row in repository.present(session, [actor.lower() for actor in actors])}
        for actor in actors:
            row = rows.get(actor.lower())
            member_of = (row.document or {}).get("spec", {}).get("memberOf", []) if row is not None else []
            found[actor] = {full_ref(one, kind="group") for one in member_of}
        return found

    def is_group(self, session: Session, ref: str) -> bool:
        """Say whether there is such a group; where the catalog knows no group at all, any may be one."""
        full = full_ref(ref, kind="group")
        return repository.entity(session, full) is not None or not repository.entities(session, kind="group", limit=1)

    def members(self, session: Session) -> dict[str, set[str]]:
        """Return the users of every group that the catalog knows, as groups list them and users say themselves."""
        found: dict[str, set[str]] = {}
        for row in repository.entities(session, kind="group", limit=_MOST_ENTITIES):
            listed = ((row.document or {}).get("spec") or {}).get("members") or []
            found[row.ref] = {full_ref(one, kind="user", namespace=row.namespace) for one in listed}
        for row in repository.entities(session, kind="user", limit=_MOST_ENTITIES):
            for one in ((row.document or {}).get("spec") or {}).get("memberOf") or []:
                found.setdefault(full_ref(one, kind="group", namespace=row.namespace), set()).add(row.ref)
        return found

    def owned(self, session: Session, types: Collection[str]) -> list[EntityRow]:
        """Return all resources of these types, such as datasets, with their owners."""
        rows = (row for one in types for row in repository.entities(session, type=one, limit=_MOST_ENTITIES))
        return [row for row in rows if row.kind == "Resource"]

    def names(self, session: Session, kind: str) -> list[EntityRow]:
        """Return all entities of a kind, for offering them as answers."""
        return list(repository.entities(session, kind=kind, limit=1000))

    def _put(self, session: Session, row: Location, ref: str, entity: AnyEntity, document: dict[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
        present = repository.trace(session, ref)
        same = present is not None and present.document is not None and present.digest == digest
        if same and present is not None and present.location_id == row.id:
            return
        seq = repository.last_change(session) + 1
        if present is None:
            present = EntityRow(ref=ref)
            session.add(present)
        present.kind, present.namespace, present.name = entity.kind, entity.metadata.namespace, entity.metadata.name
        present.type = getattr(entity.spec, "type", None)
        present.title, present.description = entity.metadata.title, entity.metadata.description
        present.owner, present.system = owner_of(entity), system_of(entity)
        present.location_id, present.document, present.digest = row.id, document, digest
        self._changed(session, present, seq)

    def _moved(self, session: Session, row: Location) -> None:
        """Have followers take up everything from a repository that has another address now."""
        for present in repository.of_location(session, row.id):
            self._changed(session, present, repository.last_change(session) + 1)

    def _take_away(self, session: Session, row: EntityRow) -> None:
        seq = repository.last_change(session) + 1
        row.document, row.digest, row.location_id = None, "", None
        self._changed(session, row, seq)

    def _changed(self, session: Session, row: EntityRow, seq: int) -> None:
        if row.kind == "Component" and row.namespace == DEFAULT_NAMESPACE:
            self._services.overview.changed(session, row.name)
        row.seq = seq
        row.changed_at = self._services.clock.now()
        session.flush()

    def _taken(self, session: Session, location_id: str | None, entities: Sequence[AnyEntity]) -> list[EntityRow]:
        found = (repository.entity(session, entity.ref) for entity in entities)
        return [row for row in found if row is not None and row.location_id != location_id]

    def _check_readable(self, place: Place, found: Found) -> None:
        if found.state is LocationState.UNREACHABLE:
            raise Unavailable(f"{place.shown} can't be read now: {found.reason}", fix="Try again in a moment.")
        if found.state is LocationState.GONE:
            raise InvalidInput(f"{place.shown} can't be registered: {found.reason}", fix="Push the file first.")
        if not found.reading.entities:
            faults = [_as_json(fault) for fault in found.reading.faults[:20]]
            first = f": line {faults[0]['line']}: {faults[0]['message']}" if faults else ""
            raise InvalidInput(f"{place.shown} declares no entity that is right{first}", faults=faults)

    def _may(
        self,
        session: Session,
        caller: Principal,
        action: Action,
        place: Place,
        owners: set[str],
        verb: str,
        registered_by: str | None = None,
    ) -> dict[str, Any]:
        """Let through whom the policies permit; return what the audit event says about it."""
        access, groups = self._services.access, " and ".join(sorted(owners)) or "the platform's administrators"
        persons = frozenset() if registered_by is None else access.people.behind(registered_by)
        decision = access.require(
            session,
            caller,
            action,
            ProjectResource(f"location:{place.shown}", tuple(sorted(owners)), persons),
            detail=f"{caller.ref} may not {verb} {place.shown}",
            fix=f"Members of {groups} may.",
            event=f"{EVENT}.location.refused",
            verb=verb,
        )
        return {"access": decision.as_json()}


def _as_json(fault: Fault) -> dict[str, Any]:
    return fault.as_dict()
