"""Asks Cedar, and says in words what came of it. Nothing in here reads a table."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import cedarpy
import orjson

from backend.access.people import People
from backend.access.policies import NAMESPACE, PolicySet
from backend.access.resources import Action, Resource, group_references, principal_entities
from backend.access.roles import Roles
from backend.core.config import Settings
from backend.identity.principal import Actor, Principal

_REMEMBERED = 2048


@dataclass(frozen=True)
class Context:
    """What else a decision depends on."""

    environment: str | None = None
    purpose: str | None = None
    approvers: tuple[str, ...] | None = None
    """Groups whose members may approve there."""
    not_author: bool = False
    """Whether neither who asked nor who made the version may decide."""
    requester: Actor | None = None
    author: Actor | None = None
    commit_author: str | None = None
    """Whose commit the version was made from, by the address in it; counts for whom it is linked to."""
    escalated: bool = False
    decider: Actor | None = None
    """Who decided about what is taken back."""
    co_requester: Actor | None = None
    """Who asked besides the requester."""


@dataclass(frozen=True)
class Covering:
    """A grant that covers a request."""

    id: str
    kind: str
    until: datetime


@dataclass(frozen=True)
class Said:
    """A rule that decided, and why in this case."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """Whether somebody may do something, by which rules, of which policy set."""

    allowed: bool
    principal: str
    action: Action
    resource: str
    rules: tuple[Said, ...]
    policies: str
    grant: str | None = None
    request: str | None = None
    """The command that asks for what no rule permits, where it can be asked for."""

    @property
    def explanation(self) -> str:
        """The decision in a sentence."""
        if self.allowed:
            one = self.rules[0]
            return f"allowed by rule {one.rule}: {one.reason}"
        if self.rules:
            return "; ".join(f"denied by rule {one.rule} because {one.reason}" for one in self.rules)
        asked = f"; ask with `{self.request}`" if self.request else ""
        return f"no rule permits {self.principal} to {self.action} {self.resource}{asked}"

    def as_json(self) -> dict[str, Any]:
        """Return it as it goes into audit events and problem details."""
        return {
            "allowed": self.allowed,
            "action": self.action.value,
            "resource": self.resource,
            "rules": [one.rule for one in self.rules],
            "policies": self.policies,
            "grant": self.grant,
        }


class Engine:
    """The policies that hold, with everything of the settings that decisions depend on."""

    def __init__(self, settings: Settings, policies: PolicySet, people: People, roles: Roles) -> None:
        self.policies, self.people, self.roles = policies, people, roles
        self._purposes = settings.access.purposes
        # A page asks several questions about the same caller and thing; parsing the two is most of what one costs.
        self._parsed = lru_cache(_REMEMBERED)(cedarpy.Entities.from_json_str)

    def ask(
        self,
        principal: Principal,
        action: Action,
        resource: Resource,
        context: Context,
        now: datetime,
        grant: Covering | None = None,
    ) -> Decision:
        """Return the decision. Whatever Cedar can't evaluate counts as no: a forbid that fails would otherwise be none."""
        request, entities = self.request(principal, action, resource, context, now, grant)
        result = cedarpy.is_authorized(request, self.policies.about(action.value), self._parsed(entities))
        words = self._words(principal, action, resource, context)
        reasons = sorted(result.diagnostics.reasons)
        if result.diagnostics.errors:
            text = "; ".join(str(one) for one in result.diagnostics.errors)
            said: tuple[Said, ...] = (Said("policies.unevaluated", f"a policy could not be evaluated: {text}"[:500]),)
        else:
            by_id = self.policies.by_id
            said = tuple(Said(one, by_id[one].reason(words)) for one in reasons)
        return Decision(
            allowed=result.allowed and not result.diagnostics.errors,
            principal=principal.ref,
            action=action,
            resource=resource.ref,
            rules=said,
            policies=self.policies.digest,
            grant=grant.id if grant is not None and any(one.startswith("grants.") for one in reasons) else None,
        )

    def request(
        self,
        principal: Principal,
        action: Action,
        resource: Resource,
        context: Context,
        now: datetime,
        grant: Covering | None = None,
    ) -> tuple[dict[str, Any], str]:
        """Return the request and the entities as Cedar takes them."""
        uid, known = principal_entities(principal, self.people.of(principal), self.roles)
        about = resource.entity()
        request = {
            "principal": uid,
            "action": {"type": f"{NAMESPACE}::Action", "id": action.value},
            "resource": about["uid"],
            "context": orjson.dumps(self._facts(context, now, grant)).decode(),
        }
        return request, orjson.dumps([*known, about]).decode()

    def _facts(self, context: Context, now: datetime, grant: Covering | None) -> dict[str, Any]:
        facts: dict[str, Any] = {"now": int(now.timestamp())}
        if context.environment is not None:
            facts["environment"] = context.environment
        if context.purpose is not None:
            reaches = self._purposes.get(context.purpose)
            facts["purpose"] = context.purpose
            facts["purposeReaches"] = -1 if reaches is None else reaches.level
        if context.approvers is not None:
            facts["approvers"] = group_references(context.approvers)
            facts["notAuthor"] = context.not_author
        elif context.not_author:
            facts["notAuthor"] = True
        for name, actor in (("requester", context.requester), ("author", context.author)):
            if actor is not None:
                facts[name] = sorted(self.people.behind(actor.ref, actor.on_behalf_of))
                facts[f"{name}Known"] = actor.is_known
        if context.co_requester is not None:
            asked = self.people.behind(context.co_requester.ref, context.co_requester.on_behalf_of)
            facts["requester"] = sorted({*facts.get("requester", ()), *asked})
        if context.decider is not None:
            facts["decider"] = sorted(self.people.behind(context.decider.ref, context.decider.on_behalf_of))
        if context.commit_author is not None and "author" in facts:
            facts["author"] = sorted({*facts["author"], self.people.person(context.commit_author)})
        if context.escalated:
            facts["escalated"] = True
        if grant is not None:
            facts["grant"] = {"id": grant.id, "kind": grant.kind, "until": int(grant.until.timestamp())}
        return facts

    def _words(self, principal: Principal, action: Action, resource: Resource, context: Context) -> dict[str, str]:
        return {
            **resource.words(),
            "principal": principal.ref,
            "action": action.value,
            "purpose": context.purpose or "no purpose",
            "requester": context.requester.ref if context.requester else "nobody",
            "author": context.author.ref if context.author else "nobody",
        }
