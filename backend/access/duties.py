"""Separation of duties, checked over what was done: from the tables, the audit log and who people are by now.

The policies refuse what can be refused when it happens. This looks again: identities may have been linked since, a row may
have been written past the platform, and breaking the glass gets past the rules by design.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from backend.access import repository
from backend.access.models import Grant, GrantKind, GrantState
from backend.access.service import AccessService
from backend.core.container import Services
from backend.deployments.views import Duties
from backend.identity.principal import Actor

_APPROVED = ("ml-platform.deployments.deployment.approved", "ml-platform.deployments.deployment.rejected")
_REVIEWED = ("ml-platform.access.review.confirmed", "ml-platform.access.review.revoked")


@dataclass(frozen=True)
class Violation:
    """Something that one person should not have done alone, or that nobody has put on record."""

    kind: str
    at: datetime
    subject: str
    persons: tuple[str, ...]
    message: str


@dataclass
class Report:
    """What was looked at in a period, and what was found."""

    checked: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)


class SeparationOfDuties:
    """Makes the report."""

    def __init__(self, services: Services, access: AccessService) -> None:
        self._services, self._access = services, access

    def report(self, session: Session, since: datetime, until: datetime) -> Report:
        """Return what was found in a period, oldest first."""
        report = Report()
        deployments = self._services.deployments.duties(session, since, until)
        on_record = self._on_record(session, since, until)
        for one in deployments:
            report.violations.extend(self._of_deployment(session, one, on_record, since, until))
        grants = repository.grants_between(session, since, until)
        for grant in grants:
            report.violations.extend(self._of_grant(grant))
        reviewed = [event for type in _REVIEWED for event in self._services.audit.events(session, type, since, until)]
        for event in reviewed:
            report.violations.extend(self._of_review(event))
        report.checked = {
            "deployments": len(deployments),
            "approvals": sum(len(one.approvals) for one in deployments),
            "grants": len(grants),
            "reviewedPermissions": len(reviewed),
        }
        report.violations.sort(key=lambda one: (one.at, one.subject, one.kind))
        return report

    def _on_record(self, session: Session, since: datetime, until: datetime) -> set[tuple[str, str, bool]]:
        return {
            (str(event["data"].get("deployment")), str(event["actor"]), type == _APPROVED[0])
            for type in _APPROVED
            for event in self._services.audit.events(session, type, since, until)
        }

    def _of_deployment(
        self,
        session: Session,
        one: Duties,
        on_record: set[tuple[str, str, bool]],
        since: datetime,
        until: datetime,
    ) -> Iterator[Violation]:
        subject = f"model:{one.model}/deployments/{one.deployment}"
        what = f"v{one.version} of {one.model} to {one.environment}"
        version = self._services.registry.get_version(session, one.model, one.version)
        author = Actor(version.created_by, version.lineage.get("onBehalfOf"))
        roles = [(one.requester, "asked for it", "requester"), (author, "made the version", "author")]
        if (committer := version.lineage.get("commitAuthor")) is not None:
            roles.append((Actor(committer), "wrote its commit", "commit-author"))
        if one.break_glass is not None:
            message = f"{one.requester.ref} broke the glass to bring {what}: {one.break_glass}"
            yield Violation("break-glass-deployment", one.requested_at, subject, self._behind(one.requester), message)
        for approval in one.approvals:
            if not since <= approval.at < until:
                continue
            decided = self._access.people.behind(approval.by)
            verb = "approved" if approval.approved else "rejected"
            for actor, did, role in roles:
                both = decided & self._access.people.behind(actor.ref, actor.on_behalf_of)
                if both:
                    message = f"{approval.by} {verb} {what} and {did} as {actor.on_behalf_of or actor.ref}"
                    yield Violation(f"approver-is-{role}", approval.at, subject, tuple(sorted(both)), message)
            if (one.deployment, approval.by, approval.approved) not in on_record:
                message = f"the audit log does not say that {approval.by} {verb} {what}"
                yield Violation("approval-not-on-record", approval.at, subject, tuple(sorted(decided)), message)
        if one.hurried_by is not None:
            for actor, did, role in roles:
                both = self._access.people.behind(one.hurried_by) & self._access.people.behind(
                    actor.ref, actor.on_behalf_of
                )
                if both:
                    message = f"{one.hurried_by} promoted {what} without further analysis and {did}"
                    yield Violation(f"promoter-is-{role}", one.requested_at, subject, tuple(sorted(both)), message)
        approved = any(approval.approved for approval in one.approvals)
        if one.waited_for_approval and one.outcome == "promoted" and not approved and one.break_glass is None:
            message = f"{what} went live without the approval that it needed"
            yield Violation("not-approved", one.requested_at, subject, self._behind(one.requester), message)

    def _of_grant(self, grant: Grant) -> Iterator[Violation]:
        subject, at = f"grant:{grant.id}", grant.decided_at or grant.requested_at
        asked = frozenset(
            {
                self._access.people.person(grant.principal),
                *self._access.people.behind(grant.requested_by, grant.on_behalf_of),
            }
        )
        if grant.kind == GrantKind.BREAK_GLASS:
            looked = "nobody has looked at it yet" if grant.looked_at is None else f"{grant.looked_at_by} looked at it"
            message = f"{grant.requested_by} broke the glass to {grant.action} {grant.scope}: {grant.reason}; {looked}"
            yield Violation("break-glass-access", grant.requested_at, subject, tuple(sorted(asked)), message)
        for name, ref in (("approver", grant.decided_by), ("reviewer", grant.looked_at_by)):
            if ref is not None and (both := self._access.people.behind(ref) & asked):
                message = f"{ref} decided about the grant to {grant.action} {grant.scope} that is for {grant.principal}"
                yield Violation(f"grant-{name}-is-requester", at, subject, tuple(sorted(both)), message)
        if grant.kind == GrantKind.GRANT and grant.state == GrantState.ACTIVE and grant.decided_by is None:
            message = f"the grant to {grant.action} {grant.scope} holds, and nobody approved it"
            yield Violation("grant-not-approved", at, subject, tuple(sorted(asked)), message)

    def _of_review(self, event: dict[str, Any]) -> Iterator[Violation]:
        data = event["data"]
        both = self._access.people.behind(event["actor"]) & self._access.people.behind(str(data["principal"]))
        if both:
            at = datetime.fromisoformat(event["time"])
            message = f"{event['actor']} reviewed their own {data['kind']} in {data['target']}"
            yield Violation("reviewed-own-permission", at, event["subject"], tuple(sorted(both)), message)

    def _behind(self, actor: Actor) -> tuple[str, ...]:
        return tuple(sorted(self._access.people.behind(actor.ref, actor.on_behalf_of)))
