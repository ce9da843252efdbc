"""The one door: may somebody do something, and why or why not."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.orm import Session

from backend.access import repository
from backend.access.engine import Context, Covering, Decision, Engine
from backend.access.models import ClockRow, PolicySetRow
from backend.access.people import People
from backend.access.policies import Rule, load
from backend.access.resources import (
    FOR_A_PURPOSE,
    GRANTABLE,
    KINDS_OF,
    ROLE,
    Action,
    DatasetResource,
    ModelResource,
    PlatformResource,
    Resource,
)
from backend.access.roles import ALERT_SOURCE, LABELLER, Roles
from backend.audit.service import PLATFORM
from backend.core.config import Settings
from backend.core.config_files import ConfigError
from backend.core.container import Services
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal, PrincipalKind
from catalog.refs import full_ref
from mlplatform.spec.model import Classification

EVENT = "ml-platform.access"
"""What the types of this domain's audit events begin with."""
CLASSIFICATION_LABEL = "ml-platform/classification"
_FORGIVEN = timedelta(minutes=5)
"""How far the clock may go back: machines are set right by less."""
_MARK_EVERY = timedelta(minutes=1)

_log = logging.getLogger(__name__)


class Datasets(Protocol):
    """Where owner and classification of data come from."""

    def find(self, session: Session, name: str) -> DatasetResource | None:
        """Return the dataset ``<namespace>/<name>``, if it is known."""
        ...


class CatalogDatasets:
    """Data as it is classified, else as its catalog entity declares it.

    What has no classification, or none that is known, counts as the highest.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def find(self, session: Session, name: str) -> DatasetResource | None:
        """Return the dataset ``<namespace>/<name>``, if the catalog knows it."""
        if classified := self._services.datasets.of_entity(session, f"resource:{name}"):
            owner, classification = classified
            return DatasetResource(name, owner, classification)
        try:
            row = self._services.catalog.entity(session, f"resource:{name}")
        except NotFound:
            return None
        if row.type != "dataset":
            return None
        said = ((row.document or {}).get("metadata") or {}).get("labels", {}).get(CLASSIFICATION_LABEL)
        known = said in list(Classification)
        return DatasetResource(name, row.owner, Classification(said) if known else Classification.SENSITIVE_PII)


class AccessService:
    """Decides by Cedar policies. Grants are in :class:`~backend.access.grants.Grants`, reviews in their own service."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.engine = engine_of(services.settings)
        self.people, self.roles = self.engine.people, self.engine.roles
        self.datasets: Datasets = CatalogDatasets(services)
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._marked = self._latest

    @property
    def digest(self) -> str:
        """The digest of the policy set that holds."""
        return self.engine.policies.digest

    def start(self) -> None:
        """Put on record which policies hold from now on, when they are others than before."""
        with self._services.database.write() as session:
            lock_for_transaction(session, "access-policies")
            if (mark := repository.clock(session)) is not None:
                self._latest = self._marked = mark.latest
            before = repository.newest_policy_set(session)
            if before is not None and before.digest == self.digest:
                return
            rules = {rule.id: shown(rule) for rule in self.engine.policies.rules}
            session.add(
                PolicySetRow(
                    id=new_id(),
                    digest=self.digest,
                    activated_at=self._services.clock.now(),
                    rules=rules,
                    settings=self.engine.policies.settings,
                )
            )
            old = {} if before is None else before.rules
            texts = {name: one["text"] for name, one in old.items()}
            self._services.audit.append(
                session,
                type=f"{EVENT}.policies.changed",
                subject="access:policies",
                actor=PLATFORM,
                data={
                    "policies": self.digest,
                    "previous": None if before is None else before.digest,
                    "added": sorted(rules.keys() - old.keys()),
                    "removed": sorted(old.keys() - rules.keys()),
                    "changed": sorted(name for name in rules.keys() & old if rules[name]["text"] != texts[name]),
                    "settings": before is None or before.settings != self.engine.policies.settings,
                },
            )
        _log.info("access is decided by policy set %s, %s rules", self.digest[:12], len(rules))

    def decide(
        self,
        session: Session,
        principal: Principal,
        action: Action,
        resource: Resource,
        context: Context | None = None,
    ) -> Decision:
        """Return whether a caller may do something.

        A grant is looked for only where the policies alone say no.
        """
        context, now = context or Context(), self.now()
        decision = self.engine.ask(principal, action, resource, context, now)
        if decision.allowed or action not in GRANTABLE:
            return decision
        if (grant := self._covering(session, principal, action, resource, context, now)) is not None:
            with_grant = self.engine.ask(principal, action, resource, context, now, grant)
            if with_grant.allowed:
                return with_grant
        return with_request(decision, action, resource, context)

    def require(
        self,
        session: Session,
        principal: Principal,
        action: Action,
        resource: Resource,
        context: Context | None = None,
        *,
        detail: str | None = None,
        fix: str | None = None,
        event: str | None = None,
        subject: str | None = None,
        **said: Any,
    ) -> Decision:
        """Return the decision that lets a caller through.

        ``detail`` and ``fix`` are what a refusal says where no rule permits; a rule that forbids speaks for itself.
        ``event`` is the type of the audit event that a refusal leaves, about ``subject`` (the resource, if nothing else is
        given), with the decision and ``said`` in it.

        Raises:
            Forbidden: the policies say no. ``access`` in the problem details names rules and policy set, and in
                ``request`` the command that asks for it where that can be done.
        """
        decision = self.decide(session, principal, action, resource, context)
        if decision.allowed:
            return decision
        refused = refusal(decision, detail=detail, fix=fix)
        if event is not None:
            about = subject or resource.ref
            refused.audited(type=event, subject=about, actor=principal.ref, **said, **refused.extra)
        raise refused

    def record(self, session: Session, principal: Principal, decision: Decision, context: Context) -> None:
        """Put a decision on record that gates no write of this platform, such as reading data elsewhere."""
        self._services.audit.append(
            session,
            type=f"{EVENT}.decided",
            subject=decision.resource,
            actor=principal,
            data={
                **decision.as_json(),
                "principal": decision.principal,
                "purpose": context.purpose,
                "environment": context.environment,
                "reason": decision.explanation,
            },
        )

    def model(self, session: Session, name: str) -> ModelResource:
        """Return a registered model as policies see it.

        Raises:
            NotFound: there is none of that name.
        """
        row = self._services.registry.get_model(session, name)
        return ModelResource(row.name, row.owner, row.repository)

    def dataset(self, session: Session, name: str) -> DatasetResource:
        """Return data as policies see it.

        Raises:
            NotFound: the catalog knows no such dataset.
        """
        try:
            full = full_ref(name, kind="resource").partition(":")[2]
        except ValueError as fault:
            raise NotFound(str(fault)) from None
        found = self.datasets.find(session, full)
        if found is None:
            raise NotFound(
                f"there is no dataset {full[:120]} in the catalog",
                fix="Declare it as a Resource of type dataset in a catalog-info.yaml.",
            )
        return found

    def resource(self, session: Session, ref: str) -> Resource:
        """Return what a text such as ``model:wine``, ``dataset:default/customers`` or ``platform`` names.

        Raises:
            InvalidInput: it names no kind of resource.
            NotFound: there is none of that name.
        """
        kind, _, name = ref.partition(":")
        if kind == "model" and name:
            return self.model(session, name)
        if kind == "dataset" and name:
            return self.dataset(session, name)
        if kind == "classification" and name:
            if name not in list(Classification):
                raise InvalidInput(f"scope: {name[:40]!r} is no classification; it may be {', '.join(Classification)}")
            return DatasetResource(None, None, Classification(name))
        if ref == "platform":
            return PlatformResource()
        raise InvalidInput(
            f"resource: {ref[:120]!r} names nothing that access is decided about",
            fix="Write model:NAME, dataset:NAMESPACE/NAME, classification:CLASS or platform.",
        )

    def fits(self, action: Action, resource: Resource) -> None:
        """Refuse a question that the schema knows no answer to.

        Raises:
            InvalidInput: the action is about another kind of resource.
        """
        kinds = KINDS_OF[action]
        if not isinstance(resource, kinds):
            names = " or ".join(kind.KIND for kind in kinds)
            raise InvalidInput(f"resource: {action} is about a {names}, not about {resource.ref[:120]}")

    def owners_of(self, principal: Principal) -> list[str]:
        """Return the names under which a caller decides about grants and reviews: groups and roles."""
        groups = {group.casefold() for group in principal.groups}
        return sorted({*groups, *(f"{ROLE}{role}" for role in self.roles.of(principal))})

    def data_protection(self) -> str:
        """Return who decides about data that has no owner of its own."""
        role = "data-protection" if self.roles.holders("data-protection") else "administrator"
        return f"{ROLE}{role}"

    def now(self) -> datetime:
        """Return the present as far as grants go: it never goes back."""
        self._latest = max(self._latest, self._services.clock.now())
        return self._latest

    def clock_is_right(self) -> bool:
        """Say whether the clock is not far behind a time that was seen."""
        return self._services.clock.now() >= self._latest - _FORGIVEN

    def mark(self) -> None:
        """Keep the latest time that was seen, so that a restart does not forget it; called again and again."""
        now = self.now()
        if now - self._marked < _MARK_EVERY:
            return
        with self._services.database.write() as session:
            row = repository.clock(session)
            if row is None:
                session.add(ClockRow(id=1, latest=now))
            else:
                row.latest = max(row.latest, now)
        self._marked = now

    def accept_clock(self, session: Session, caller: Principal, reason: str) -> None:
        """Take the clock for right that is behind a time that was seen: that one was wrong.

        Raises:
            Forbidden: the policies say no.
            Conflict: it is not behind.
        """
        decision = self.require(
            session,
            caller,
            Action.ADMINISTER,
            PlatformResource(),
            event=f"{EVENT}.clock.refused",
            subject="access:clock",
        )
        if self.clock_is_right():
            raise Conflict("the clock is not behind")
        now, row = self._services.clock.now(), repository.clock(session)
        self._services.audit.append(
            session,
            type=f"{EVENT}.clock.accepted",
            subject="access:clock",
            actor=caller,
            data={"latest": self._latest, "now": now, "reason": reason, "access": decision.as_json()},
        )
        if row is not None:
            row.latest = now
        self._latest = self._marked = now

    def _covering(
        self,
        session: Session,
        principal: Principal,
        action: Action,
        resource: Resource,
        context: Context,
        now: datetime,
    ) -> Covering | None:
        if not self.clock_is_right():
            _log.error("the clock went back behind %s; until it is right again no grant counts", self._latest)
            return None
        found = repository.covering(
            session,
            # Only what was given to this very principal: a person's grant is not that of the CI jobs they start.
            person=self.people.person(principal.ref),
            action=action,
            scopes=resource.scopes,
            purpose=(context.purpose or "") if action in FOR_A_PURPOSE else "",
            now=now,
        )
        return None if found is None else Covering(*found)


def engine_of(settings: Settings) -> Engine:
    """Return the engine for these settings.

    Raises:
        ConfigError: a policy is wrong, or all of them together lock everybody out.
    """
    access = settings.access
    people, roles = People(access.identities), Roles(settings.permissions, given_roles(settings))
    kept = access.model_dump(mode="json", by_alias=True, include={"identities", "purposes"})
    engine = Engine(settings, load(access.policies, {**kept, "roles": roles.as_json()}), people, roles)
    _somebody_may_change(settings, engine)
    return engine


def given_roles(settings: Settings) -> dict[str, list[str]]:
    """Return who has which role by the settings, besides those that ``permissions`` gives."""
    named = {LABELLER: settings.drift.labellers, ALERT_SOURCE: settings.observability.alertmanagers}
    roles = settings.access.roles
    return {**roles, **{role: [*roles.get(role, ()), *refs] for role, refs in named.items() if refs}}


def _somebody_may_change(settings: Settings, engine: Engine) -> None:
    """Refuse policies under which nobody could put the policies, or anything else, right again."""
    users = {one.ref: frozenset(one.groups) for one in settings.identity.local_issuer.users}
    members = [(f"user:default/member-of-{index}", frozenset([group])) for index, group in enumerate(_groups(settings))]
    decision: Decision | None = None
    for ref, groups in (*members, *users.items()):
        probe = Principal(PrincipalKind.USER, ref, groups, "probe", datetime.max.replace(tzinfo=UTC))
        moment = datetime(2026, 1, 5, 10, tzinfo=UTC)
        decision = engine.ask(probe, Action.ADMINISTER, PlatformResource(), Context(), moment)
        if decision.allowed:
            return
    forbidding = [] if decision is None else [engine.policies.by_id[one.rule] for one in decision.rules]
    where = [f"{one.file}:{one.line}: rule {one.id}: " for one in forbidding] or [
        "mlPlatform.permissions.platformAdmins: "
    ]
    raise ConfigError(
        [f"{one}locks everybody out: no member of any configured group may administer the platform" for one in where]
    )


def _groups(settings: Settings) -> Iterable[str]:
    return dict.fromkeys(
        [*settings.permissions.platform_admins, *(g for r in settings.access.roles.values() for g in r)]
    )


def with_request(decision: Decision, action: Action, resource: Resource, context: Context) -> Decision:
    """Return a refusal with the command that asks for what no rule permits, where it can be asked for."""
    if decision.allowed or decision.rules or not resource.scopes or action not in GRANTABLE:
        return decision
    purpose = f" --purpose {context.purpose}" if context.purpose and action in FOR_A_PURPOSE else ""
    asked = f'platform access request {action} {resource.ref}{purpose} --for 1d --reason "..."'
    return replace(decision, request=asked)


def refusal(decision: Decision, *, detail: str | None = None, fix: str | None = None) -> Forbidden:
    """Return the error that a decision against somebody is."""
    if decision.rules:
        return Forbidden("; ".join(one.reason for one in decision.rules), access=decision.as_json())
    if decision.request:
        asked = f"Or ask for it: `{decision.request}`." if fix else f"Ask for it: `{decision.request}`."
        fix = f"{fix} {asked}" if fix else asked
    asked_by = {"request": decision.request} if decision.request else {}
    return Forbidden(detail or decision.explanation, fix=fix, access={**decision.as_json(), **asked_by})


def shown(rule: Rule) -> dict[str, Any]:
    """Return a rule as it is kept and shown."""
    names = ("id", "effect", "because", "file", "line", "text")
    return {name: getattr(rule, name) for name in names}
