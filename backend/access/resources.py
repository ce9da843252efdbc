"""What policies decide about, each as the Cedar entities that stand for it; and the actions there are."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from backend.access.policies import NAMESPACE
from backend.core.config_identity import PermissionSettings
from backend.identity.principal import Principal, PrincipalKind
from mlplatform.spec.model import Classification

_KINDS = {PrincipalKind.USER: "User", PrincipalKind.REPOSITORY: "Repository", PrincipalKind.SERVICE: "Service"}

ROLE = "role:"
"""What an owner begins with that is no group but a role."""

Entity = dict[str, Any]


class Action(StrEnum):
    """What can be asked for; the schema says about which resources."""

    DEPLOY = "deploy"
    APPROVE = "approve"
    PROMOTE = "promote"
    ABORT = "abort"
    ROLLBACK = "rollback"
    BREAK_GLASS = "break-glass"
    WAIVE = "waive"
    READ = "read"
    OPEN_CAMPAIGN = "open-campaign"
    ADMINISTER = "administer"
    EXPORT_EVIDENCE = "export-evidence"
    ERASE_SUBJECT = "erase-subject"
    OPEN_REVIEW = "open-review"
    CLOSE_REVIEW = "close-review"
    APPROVE_GRANT = "approve-grant"
    REVOKE_GRANT = "revoke-grant"
    REVIEW_BREAK_GLASS = "review-break-glass"
    REVIEW = "review"
    REPORT_OUTCOMES = "report-outcomes"


GRANTABLE = (
    Action.READ,
    Action.DEPLOY,
    Action.ABORT,
    Action.ROLLBACK,
    Action.WAIVE,
    Action.EXPORT_EVIDENCE,
    Action.ERASE_SUBJECT,
)
"""What can be asked for with a request for access."""
BREAKABLE = (Action.READ, Action.DEPLOY, Action.ABORT, Action.ROLLBACK, Action.EXPORT_EVIDENCE)
"""What can be taken by breaking the glass; deleting is not among it, since nobody could take that back."""


class Resource(Protocol):
    """Something that a decision is about."""

    @property
    def ref(self) -> str:
        """What people and audit events call it."""
        ...

    @property
    def owner(self) -> str | None:
        """The group that owns it."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a grant may name that covers this resource."""
        ...

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        ...

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        ...


@dataclass(frozen=True)
class ModelResource:
    """A model."""

    KIND: ClassVar[str] = "model"
    name: str
    owner: str
    repository: str

    @property
    def ref(self) -> str:
        """``model:<name>``."""
        return f"model:{self.name}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """The model alone."""
        return (self.ref,)

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        attributes = {"owner": _reference("Group", self.owner), "repository": repository_entity(self.repository)}
        return _entity("Model", self.name, attributes)

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": self.name, "owner": self.owner}


@dataclass(frozen=True)
class DatasetResource:
    """Data, with the highest class of any column in it."""

    KIND: ClassVar[str] = "dataset"
    name: str
    owner: str | None
    classification: Classification

    @property
    def ref(self) -> str:
        """``dataset:<namespace>/<name>``."""
        return f"dataset:{self.name}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """The dataset itself, or all data of its class."""
        return (self.ref, f"classification:{self.classification}")

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        attributes = {
            "owner": _reference("Group", self.owner or ""),
            "classification": self.classification.value,
            "level": self.classification.level,
        }
        return _entity("Dataset", self.name, attributes)

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": self.ref, "owner": self.owner or "nobody", "classification": self.classification.value}


@dataclass(frozen=True)
class FleetResource:
    """Repositories of some owners, taken together."""

    owners: tuple[str, ...]
    ref: str = "fleet"
    owner: None = None
    scopes: tuple[str, ...] = ()

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        return _entity("Fleet", "fleet", {"owners": [_reference("Group", one) for one in self.owners]})

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": "the fleet", "owner": " and ".join(self.owners) or "nobody"}


@dataclass(frozen=True)
class PlatformResource:
    """The platform itself."""

    KIND: ClassVar[str] = "platform"
    ref: str = "platform"
    owner: None = None
    scopes: tuple[str, ...] = ("platform",)

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        return _entity("Platform", "platform", {})

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": "the platform", "owner": "nobody"}


@dataclass(frozen=True)
class OwnedResource:
    """A grant or an item of a review: what a group decides about, and the people whom it is about."""

    kind: str
    id: str
    owner: str
    persons: frozenset[str]
    scopes: tuple[str, ...] = field(default=())

    @property
    def ref(self) -> str:
        """``grant:<id>`` or ``review-item:<id>``."""
        return f"{'grant' if self.kind == 'Grant' else 'review-item'}:{self.id}"

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        role = self.owner.removeprefix(ROLE) if self.owner.startswith(ROLE) else None
        by = {"owner": _reference("Group", self.owner)} if role is None else {"ownerRole": _reference("Role", role)}
        return _entity(self.kind, self.id, {**by, "persons": sorted(self.persons)})

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": self.ref, "owner": self.owner}


KINDS_OF: dict[Action, tuple[type[ModelResource | DatasetResource | PlatformResource], ...]] = {
    Action.DEPLOY: (ModelResource,),
    Action.ABORT: (ModelResource,),
    Action.ROLLBACK: (ModelResource,),
    Action.REPORT_OUTCOMES: (ModelResource,),
    Action.BREAK_GLASS: (ModelResource, DatasetResource, PlatformResource),
    Action.WAIVE: (ModelResource, DatasetResource),
    Action.READ: (DatasetResource,),
    Action.ADMINISTER: (PlatformResource,),
    Action.EXPORT_EVIDENCE: (PlatformResource,),
    Action.ERASE_SUBJECT: (PlatformResource,),
    Action.OPEN_REVIEW: (PlatformResource,),
    Action.CLOSE_REVIEW: (PlatformResource,),
}
"""What can be asked about without more facts, as the schema has it; everything else has an `actions` route of its own."""


class Roles:
    """Which roles the settings give to which groups."""

    def __init__(self, permissions: PermissionSettings, roles: dict[str, list[str]]) -> None:
        self._roles: dict[str, list[str]] = {}
        everything = {"administrator": permissions.platform_admins, "break-glass": permissions.break_glass, **roles}
        for role, groups in everything.items():
            for group in groups:
                self._roles.setdefault(group.casefold(), []).append(role)

    def of(self, groups: Iterable[str]) -> list[str]:
        """Return the roles that somebody has through these groups."""
        return sorted({role for group in groups for role in self._roles.get(group.casefold(), ())})

    @property
    def names(self) -> list[str]:
        """The roles that some group has."""
        return sorted({role for roles in self._roles.values() for role in roles})

    def groups(self, role: str) -> list[str]:
        """Return the groups that have a role."""
        return sorted(group for group, roles in self._roles.items() if role in roles)

    def as_json(self) -> dict[str, list[str]]:
        """Return the roles by group."""
        return {group: sorted(roles) for group, roles in self._roles.items()}


def principal_entities(principal: Principal, persons: frozenset[str], roles: Roles) -> tuple[Entity, list[Entity]]:
    """Return a caller as a Cedar entity id, and the entities that make it known with its groups and roles."""
    groups = [_reference("Group", one)["__entity"] for one in sorted(principal.groups)]
    held = [{"type": f"{NAMESPACE}::Role", "id": one} for one in roles.of(principal.groups)]
    attributes = {"persons": sorted(persons), "groups": [{"__entity": one} for one in groups]}
    if principal.repository is not None:
        uid = repository_entity(principal.repository)["__entity"]
    else:
        uid = {"type": f"{NAMESPACE}::{_KINDS[principal.kind]}", "id": principal.ref.casefold()}
    parents = [*_unique(groups), *held]
    return uid, [{"uid": uid, "attrs": attributes, "parents": parents}]


def group_references(groups: Iterable[str]) -> list[Entity]:
    """Return groups as the values that a context holds."""
    return [_reference("Group", one) for one in groups]


def repository_entity(repository: str) -> Entity:
    """Return a repository as a value; unlike people and groups its name counts with its case."""
    return {"__entity": {"type": f"{NAMESPACE}::Repository", "id": repository}}


def _unique(references: list[Entity]) -> list[Entity]:
    return list({one["id"]: one for one in references}.values())


def _reference(kind: str, id: str) -> Entity:
    return {"__entity": {"type": f"{NAMESPACE}::{kind}", "id": id.casefold()}}


def _entity(kind: str, id: str, attributes: dict[str, Any]) -> Entity:
    return {"uid": {"type": f"{NAMESPACE}::{kind}", "id": id}, "attrs": attributes, "parents": []}
