"""What the platform itself says: the organisation's configured file, the users of the embedded issuer, and its templates."""

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.ids import new_id
from catalog import repository
from catalog.entities import Group, User
from catalog.models import Location, LocationState
from catalog.reader import OF_THE_ORGANISATION, Reading, read_entities
from catalog.refs import full_ref, make_ref
from catalog.service import Found
from catalog.templates import TemplateSource
from mlplatform.spec.faults import Fault

if TYPE_CHECKING:
    from backend.core.container import Services

_LARGEST = 1 << 20
_API_VERSION = "backstage.io/v1alpha1"

_log = logging.getLogger(__name__)


class OwnSources:
    """Keeps groups, users and systems as the organisation says they are, and templates as they are released."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._known = ""
        self.templates = TemplateSource(services)

    def sync(self) -> None:
        """Bring the catalog to what the sources say, when they say something else than the last time."""
        found = {"organisation": self._organisation(), "issuer": self._issuer()}
        if (templates := self.templates.found) is not None:
            found["templates"] = templates
        said = [[one.state, one.reading.documents, one.reading.faults] for one in found.values()]
        state = hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()
        if state == self._known:
            return
        with self._services.database.write() as session:
            # Twice: what moved from one source to the other has to be let go of before it can be taken up.
            for name, one in (*found.items(), *found.items()):
                self._services.catalog.apply(session, self._location(session, name), one)
        self._known = state

    def _organisation(self) -> Found:
        file = self._services.settings.catalog.org
        if file is None:
            return Found(LocationState.FRESH, Reading())
        try:
            with file.open("rb") as stream:
                raw = stream.read(_LARGEST + 1)
        except OSError as error:
            reading = Reading(faults=[Fault(1, 1, "", f"{file} can't be read: {error.strerror}")])
            return Found(LocationState.FAULTY, reading, reason=str(error))
        reading = read_entities(file.name, raw, kinds=OF_THE_ORGANISATION)
        for fault in reading.faults:
            _log.warning("%s:%d:%d: %s: %s", file, fault.line, fault.column, fault.path, fault.message)
        return Found(LocationState.FAULTY if reading.faults else LocationState.FRESH, reading)

    def _issuer(self) -> Found:
        """Return the users of the embedded issuer and their groups, as far as the organisation's file leaves them open."""
        local = self._services.settings.identity.local_issuer
        reading = Reading()
        if not local.enabled:
            return Found(LocationState.FRESH, reading)
        said = {entity.ref for entity in self._organisation().reading.entities}
        members: dict[str, list[str]] = {}
        for user in local.users:
            for group in user.groups:
                members.setdefault(full_ref(group, kind="group"), []).append(user.ref)
            self._add(reading, said, "User", user.ref, {"memberOf": list(user.groups)})
        for group, users in sorted(members.items()):
            self._add(reading, said, "Group", group, {"type": "team", "children": [], "members": users})
        return Found(LocationState.FRESH, reading)

    def _add(self, reading: Reading, said: set[str], kind: str, ref: str, spec: dict[str, Any]) -> None:
        namespace, _, name = full_ref(ref, kind=kind).partition(":")[2].partition("/")
        if make_ref(kind, namespace, name) in said:
            return
        metadata = {"name": ref.rpartition("/")[2].rpartition(":")[2], "namespace": namespace}
        document = {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
        model = User if kind == "User" else Group
        reading.entities.append(model.model_validate(document))
        reading.documents.append(document)

    def _location(self, session: Session, name: str) -> Location:
        row = repository.location_at(session, repository.PLATFORM_HOST, "", "", name)
        if row is None:
            now = self._services.clock.now()
            row = Location(
                id=new_id(),
                host=repository.PLATFORM_HOST,
                org="",
                repository="",
                path=name,
                state=LocationState.FRESH,
                faults=[],
                registered_by=PLATFORM,
                registered_at=now,
                read_at=now,
            )
            session.add(row)
            session.flush()
        return row
