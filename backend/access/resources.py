"""What policies decide about, each as the Cedar entities that stand for it; and the actions there are."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from backend.access.policies import NAMESPACE
from backend.access.roles import Roles
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
    REGISTER = "register"
    ATTEST = "attest"
    REQUEST_WAIVER = "request-waiver"
    REVOKE_WAIVER = "revoke-waiver"
    RUN_BATCH = "run-batch"
    REPORT_USAGE = "report-usage"
    REQUEST_DRIFT_REPORT = "request-drift-report"
    REPORT_LABELS = "report-labels"
    READ_SAMPLES = "read-samples"
    REVEAL = "reveal"
    CLASSIFY = "classify"
    CONFIRM_CLASSIFICATION = "confirm-classification"
    HANDLE_INCIDENT = "handle-incident"
    RAISE_ALERTS = "raise-alerts"
    SET_BUDGET = "set-budget"
    IMPORT_BILL = "import-bill"
    MANAGE_HOLDS = "manage-holds"
    RUN_RETENTION = "run-retention"
    MANAGE_KEYS = "manage-keys"
    REVOKE_SIGNING_KEY = "revoke-signing-key"
    SEAL_AUDIT_LOG = "seal-audit-log"
    EVALUATE_CONTROLS = "evaluate-controls"
    MANAGE_TRACKING = "manage-tracking"
    ANSWER_SUPPORT = "answer-support"
    DECIDE_CAMPAIGN = "decide-campaign"
    CREATE_REPOSITORY = "create-repository"
    CANCEL_SCAFFOLD = "cancel-scaffold"
    MANAGE_PULL_REQUESTS = "manage-pull-requests"
    REGISTER_ENTITIES = "register-entities"
    UNREGISTER_ENTITIES = "unregister-entities"


GRANTABLE = (
    Action.READ,
    Action.REVEAL,
    Action.DEPLOY,
    Action.ABORT,
    Action.ROLLBACK,
    Action.WAIVE,
    Action.RUN_BATCH,
    Action.READ_SAMPLES,
    Action.REQUEST_DRIFT_REPORT,
    Action.EXPORT_EVIDENCE,
    Action.ERASE_SUBJECT,
)
"""What can be asked for with a request for access."""
BREAKABLE = (
    Action.READ,
    Action.REVEAL,
    Action.DEPLOY,
    Action.ABORT,
    Action.ROLLBACK,
    Action.RUN_BATCH,
    Action.READ_SAMPLES,
    Action.EXPORT_EVIDENCE,
)
"""What can be taken by breaking the glass; deleting is not among it, since nobody could take that back."""
FOR_A_PURPOSE = (Action.READ, Action.REVEAL)
"""What is done to data for a stated purpose, which a grant names too."""


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
    """Data, with the highest class of any column in it; without a name it stands for all data of its class."""

    KIND: ClassVar[str] = "dataset"
    name: str | None
    owner: str | None
    classification: Classification

    @property
    def ref(self) -> str:
        """``dataset:<namespace>/<name>``, or ``classification:<class>`` for all data of a class."""
        return self._class if self.name is None else f"dataset:{self.name}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """The dataset itself, or all data of its class."""
        return (self.ref, self._class)

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        attributes = {
            "owner": _reference("Group", self.owner or ""),
            "classification": self.classification.value,
            "level": self.classification.level,
        }
        return _entity("Dataset", self.name or self.ref, attributes)

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": self.ref, "owner": self.owner or "nobody", "classification": self.classification.value}

    @property
    def _class(self) -> str:
        return f"classification:{self.classification}"


@dataclass(frozen=True)
class FleetResource:
    """Repositories of some owners, taken together."""

    owners: tuple[str, ...]
    ref: str = "fleet"
    owner: None = None
    scopes: tuple[str, ...] = ()

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        return _entity("Fleet", self.ref, {"owners": group_references(self.owners)})

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": "the fleet", "owner": " and ".join(self.owners) or "nobody"}


@dataclass(frozen=True)
class ProjectResource:
    """A repository and what it declares in the catalog, with the people who asked for it or registered it."""

    ref: str
    """What people and audit events call it, such as ``scaffold:churn`` or ``location:local:models/churn``."""
    owners: tuple[str, ...]
    persons: frozenset[str] = frozenset()
    owner: None = None
    scopes: tuple[str, ...] = ()

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        attributes = {"owners": group_references(self.owners), "persons": sorted(self.persons)}
        return _entity("Project", self.ref, attributes)

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": self.ref, "owner": " and ".join(self.owners) or "nobody"}


@dataclass(frozen=True)
class IncidentResource:
    """An incident: the group that is told of it, and the repository of the model that it is about."""

    id: str
    owner: str
    repository: str | None = None
    scopes: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """``incident:<id>``."""
        return f"incident:{self.id}"

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        attributes: dict[str, Any] = {"owner": _reference("Group", self.owner)}
        if self.repository is not None:
            attributes["repository"] = repository_entity(self.repository)
        return _entity("Incident", self.id, attributes)

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": "this incident", "owner": self.owner}


@dataclass(frozen=True)
class BudgetResource:
    """What a team or a model may cost."""

    kind: str
    name: str
    owner: str
    """The team itself, or the group that owns the model."""
    scopes: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """``budget:<kind>/<name>``."""
        return f"budget:{self.kind}/{self.name}"

    def entity(self) -> Entity:
        """Return it as a Cedar entity."""
        return _entity("Budget", f"{self.kind}/{self.name}", {"owner": _reference("Group", self.owner)})

    def words(self) -> dict[str, str]:
        """Return what rules may say of it."""
        return {"resource": f"the budget of {self.kind} {self.name}", "owner": self.owner}


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
    **dict.fromkeys(
        (
            Action.DEPLOY,
            Action.ABORT,
            Action.ROLLBACK,
            Action.REPORT_OUTCOMES,
            Action.REGISTER,
            Action.ATTEST,
            Action.REQUEST_WAIVER,
            Action.RUN_BATCH,
            Action.REPORT_USAGE,
            Action.REQUEST_DRIFT_REPORT,
            Action.REPORT_LABELS,
            Action.READ_SAMPLES,
        ),
        (ModelResource,),
    ),
    Action.BREAK_GLASS: (ModelResource, DatasetResource, PlatformResource),
    Action.WAIVE: (ModelResource, DatasetResource),
    **dict.fromkeys(
        (Action.READ, Action.REVEAL, Action.CLASSIFY, Action.CONFIRM_CLASSIFICATION),
        (DatasetResource,),
    ),
    **dict.fromkeys(
        (
            Action.ADMINISTER,
            Action.EXPORT_EVIDENCE,
            Action.ERASE_SUBJECT,
            Action.OPEN_REVIEW,
            Action.CLOSE_REVIEW,
            Action.RAISE_ALERTS,
            Action.IMPORT_BILL,
            Action.MANAGE_HOLDS,
            Action.RUN_RETENTION,
            Action.MANAGE_KEYS,
            Action.REVOKE_SIGNING_KEY,
            Action.SEAL_AUDIT_LOG,
            Action.EVALUATE_CONTROLS,
            Action.MANAGE_TRACKING,
            Action.ANSWER_SUPPORT,
        ),
        (PlatformResource,),
    ),
}
"""What can be asked about without more facts, as the schema has it; everything else has an `actions` route of its own."""


def principal_entities(principal: Principal, persons: frozenset[str], roles: Roles) -> tuple[Entity, list[Entity]]:
    """Return a caller as a Cedar entity id, and the entities that make it known with its groups and roles."""
    groups = [_reference("Group", one)["__entity"] for one in sorted(principal.groups)]
    held = [{"type": f"{NAMESPACE}::Role", "id": one} for one in roles.of(principal)]
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
