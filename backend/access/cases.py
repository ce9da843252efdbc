"""Policy test cases: who asks for what, and what the answer must be. They need no running platform."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from backend.access.engine import Context, Covering, Decision, Engine
from backend.access.resources import (
    Action,
    BudgetResource,
    DatasetResource,
    FleetResource,
    IncidentResource,
    ModelResource,
    OwnedResource,
    PlatformResource,
    ProjectResource,
    Resource,
)
from backend.access.roles import ALERT_SOURCE, LABELLER, Roles
from backend.access.service import engine_of, given_roles, with_request
from backend.core.config import Settings
from backend.identity.principal import Actor, Principal, PrincipalKind
from mlplatform.spec.faults import Fault, SpecError
from mlplatform.spec.model import Classification
from mlplatform.spec.reader import Document, read

_ROLE_GROUP = "group:case/"
_NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)

Text = Annotated[str, Field(min_length=1, max_length=300)]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Asker(_Part):
    """Who asks. ``roles`` are had whatever groups the settings give them to."""

    ref: Annotated[str, Field(pattern=r"^(user:[^/]+/.+|repository:.+|service:.+)$", max_length=255)]
    groups: list[Text] = Field(default_factory=list)
    roles: list[Text] = Field(default_factory=list)
    on_behalf_of: Text | None = None

    @property
    def principal(self) -> Principal:
        """The caller that policies see."""
        kind = PrincipalKind(self.ref.partition(":")[0])
        groups = frozenset({*self.groups, *(f"{_ROLE_GROUP}{one}" for one in self.roles)})
        return Principal(kind, self.ref, groups, "case", _NOW + timedelta(days=1), on_behalf_of=self.on_behalf_of)


class Owned(_Part):
    """A grant or a review item."""

    owner: Text
    persons: list[Text] = Field(default_factory=list)


class Projected(_Part):
    """A repository and what it declares."""

    owners: list[Text] = Field(default_factory=list)
    persons: list[Text] = Field(default_factory=list)


class About(_Part):
    """What is asked about: one of these."""

    model: Text | None = None
    dataset: Text | None = None
    platform: Literal[True] | None = None
    fleet: list[Text] | None = None
    grant: Owned | None = None
    review_item: Owned | None = None
    incident: Text | None = None
    budget: Text | None = None
    project: Projected | None = None
    owner: Text = "group:default/risk"
    repository: Text = "local/wine"
    classification: Classification = Classification.INTERNAL

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        names = ("model", "dataset", "platform", "fleet", "grant", "review_item", "incident", "budget", "project")
        if sum(getattr(self, one) is not None for one in names) != 1:
            raise ValueError(f"name one of {', '.join(map(to_camel, names))}")
        return self

    def resource(self, engine: Engine) -> Resource:
        """Return it as policies see it."""
        if self.model is not None:
            return ModelResource(self.model, self.owner, self.repository)
        if self.dataset is not None:
            return DatasetResource(self.dataset, self.owner, self.classification)
        if self.fleet is not None:
            return FleetResource(tuple(self.fleet))
        if self.incident is not None:
            return IncidentResource(self.incident, self.owner, self.repository)
        if self.budget is not None:
            return BudgetResource("model", self.budget, self.owner)
        if self.project is not None:
            asked = frozenset(engine.people.person(person) for person in self.project.persons)
            return ProjectResource("project:case", tuple(self.project.owners), asked)
        for kind, one in (("Grant", self.grant), ("ReviewItem", self.review_item)):
            if one is not None:
                persons = frozenset(engine.people.person(person) for person in one.persons)
                return OwnedResource(kind, "case", one.owner, persons)
        return PlatformResource()


class Doer(_Part):
    """Who asked for a deployment, or made a version."""

    ref: Text
    on_behalf_of: Text | None = None


class Covered(_Part):
    """A grant that covers it."""

    kind: Literal["grant", "break-glass"] = "grant"
    ended: bool = False


class Surroundings(_Part):
    """What else the decision depends on."""

    environment: Text | None = None
    purpose: Text | None = None
    approvers: list[Text] | None = None
    not_author: bool = False
    requester: Doer | None = None
    author: Doer | None = None
    commit_author: Text | None = None
    decider: Doer | None = None
    co_requester: Doer | None = None
    escalated: bool = False
    grant: Covered | None = None

    @property
    def context(self) -> Context:
        """The same as the engine takes it."""

        def actor(one: Doer | None) -> Actor | None:
            return None if one is None else Actor(one.ref, one.on_behalf_of)

        return Context(
            environment=self.environment,
            purpose=self.purpose,
            approvers=None if self.approvers is None else tuple(self.approvers),
            not_author=self.not_author,
            requester=actor(self.requester),
            author=actor(self.author),
            commit_author=self.commit_author,
            decider=actor(self.decider),
            co_requester=actor(self.co_requester),
            escalated=self.escalated,
        )


class Expected(_Part):
    """What the answer must be; ``rules`` are those that must decide it, in any order."""

    decision: Literal["allow", "deny"]
    rules: list[Text] | None = None


class Case(_Part):
    """One question and its answer."""

    name: Text
    principal: Asker
    action: Action
    resource: About
    context: Surroundings = Field(default_factory=Surroundings)
    expected: Expected


class _File(_Part):
    cases: Annotated[list[Case], Field(min_length=1, max_length=10_000)]


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    name: str
    file: str
    line: int
    passed: bool
    message: str


def run(settings: Settings, paths: list[Path]) -> list[Outcome]:
    """Put all cases of the files, or the shipped ones if there are none, to the policies of these settings.

    Raises:
        ConfigError: the policies are wrong.
        SpecError: a file of cases is.
    """
    engine = _with_roles(settings, engine_of(settings))
    if paths:
        return [one for path in paths for one in _outcomes(engine, path)]
    with as_file(files("backend.access") / "shipped" / "cases.yaml") as path:
        return list(_outcomes(engine, path))


def _with_roles(settings: Settings, engine: Engine) -> Engine:
    """Return the engine with a group for each role, so that cases don't depend on which groups have it."""
    given, permissions = given_roles(settings), settings.permissions
    names = {"auditor", "data-protection", LABELLER, ALERT_SOURCE, *given}
    roles = {name: [*given.get(name, []), f"{_ROLE_GROUP}{name}"] for name in names}
    more = permissions.model_copy(
        update={
            "platform_admins": [*permissions.platform_admins, f"{_ROLE_GROUP}administrator"],
            "break_glass": [*permissions.break_glass, f"{_ROLE_GROUP}break-glass"],
        }
    )
    return Engine(settings, engine.policies, engine.people, Roles(more, roles))


def _outcomes(engine: Engine, path: Path) -> Iterator[Outcome]:
    document = read(path)
    for index, case in enumerate(_parsed(path, document).cases):
        decision = _asked(engine, case)
        wanted = case.expected
        rules = sorted(one.rule for one in decision.rules)
        wrong = decision.allowed != (wanted.decision == "allow")
        if wrong or (wanted.rules is not None and sorted(wanted.rules) != rules):
            by = f" by {', '.join(sorted(wanted.rules)) or 'no rule'}" if wanted.rules is not None else ""
            message = f"expected {wanted.decision}{by}; {decision.explanation}"
        else:
            message = decision.explanation
        failed = message.startswith("expected ")
        yield Outcome(case.name, path.name, document.place(("cases", index))[0], not failed, message)


def _asked(engine: Engine, case: Case) -> Decision:
    grant = None
    if (covered := case.context.grant) is not None:
        until = _NOW + timedelta(days=-1 if covered.ended else 1)
        grant = Covering("case", covered.kind, until)
    resource, context = case.resource.resource(engine), case.context.context
    decision = engine.ask(case.principal.principal, case.action, resource, context, _NOW, grant)
    return with_request(decision, case.action, resource, context)


def _parsed(path: Path, document: Document) -> _File:
    try:
        return _File.model_validate(document.data)
    except ValidationError as error:
        faults = []
        for one in error.errors():
            place: tuple[Any, ...] = tuple(one["loc"])
            line, column = document.place(place)
            faults.append(Fault(line, column, ".".join(map(str, place)), str(one["msg"]).removeprefix("Value error, ")))
        raise SpecError(path, faults) from None
