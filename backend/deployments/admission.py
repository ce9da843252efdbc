"""Who may be admitted to an environment: small rules, each with a reason when it says no.

Two kinds of rule. An :class:`AttestationRule` says whether one attestation counts. A :class:`Requirement` says whether the
version meets one demand of the environment, and is made of such rules. All of them are pure: they are handed the
facts, and the answer names every requirement, whether or not an earlier one failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from backend.attestations.service import StoredAttestation
from backend.core.config import ApprovalSettings, EnvironmentSettings
from backend.identity.principal import Actor
from mlplatform.attest.statement import Subject
from mlplatform.gates.result import Gate, Outcome

State = Literal["met", "missing", "failed", "waiting"]
APPROVAL = "approval"
CLASSIFICATION = "data-classification"
ERROR_BUDGET = "error-budget"
QUOTA = "quota"


@dataclass(frozen=True)
class Decision:
    """What somebody said about a deployment."""

    by: str
    approved: bool
    comment: str


@dataclass(frozen=True)
class Waived:
    """Checks of a gate that somebody lets pass for a time."""

    id: str
    gate: str
    checks: frozenset[str]
    by: str
    until: datetime
    reason: str


@dataclass(frozen=True)
class Data:
    """A data set of the version: its class in model.yaml, and in the catalog as far as something is known."""

    name: str
    declared: str
    known: str | None
    basis: str | None
    agrees: bool
    """Whether what is declared is not below what is known."""


@dataclass(frozen=True)
class Budget:
    """An objective of the model that has no error budget left."""

    slo: str
    remaining: float


@dataclass(frozen=True)
class Quota:
    """What a team may take up of a resource in an environment, in cores, GiB or pieces."""

    resource: str
    team: str
    environment: str
    limit: Decimal
    used: Decimal
    """By everything but the model that asks."""
    had: Decimal
    """By the version of that model that would be replaced."""
    asked: Decimal
    setting: str
    changed_by: tuple[str, ...]

    @property
    def unit(self) -> str:
        """What it is counted in."""
        return {"cpu": "cores", "memory": "GiB"}.get(self.resource, self.resource)

    @property
    def exceeded(self) -> bool:
        """Whether it would be more than is allowed; what takes no more room than what it replaces never is."""
        return self.asked > self.had and self.used + self.asked > self.limit


@dataclass(frozen=True)
class Facts:
    """Everything that admission is decided by."""

    subject: Subject
    attestations: Sequence[StoredAttestation]
    owner: str
    requested_by: Actor
    author: Actor
    decisions: Sequence[Decision] = ()
    waivers: Sequence[Waived] = ()
    data: Sequence[Data] = ()
    budgets: Sequence[Budget] = ()
    quotas: Sequence[Quota] = ()
    was_live: bool = False
    """Whether the version was live in the environment before."""
    commit_author: str | None = None
    """Address of the commit's author, as far as it is on record."""


@dataclass(frozen=True)
class Finding:
    """One requirement and how the version stands to it."""

    requirement: str
    state: State
    message: str
    evidence: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return it as it is stored and sent."""
        return {
            "requirement": self.requirement,
            "state": self.state,
            "message": self.message,
            "evidence": self.evidence,
        }


class AttestationRule(Protocol):
    """Whether an attestation counts."""

    def refuses(self, attestation: StoredAttestation, facts: Facts) -> str | None:
        """Return why it does not count, or ``None`` if it does."""
        ...


@dataclass(frozen=True)
class RequireValid:
    """Its signature verifies now, with a key that was bound when it came and is not revoked."""

    def refuses(self, attestation: StoredAttestation, facts: Facts) -> str | None:
        """Return why it does not count, or ``None`` if it does."""
        return attestation.invalid_reason


@dataclass(frozen=True)
class RequireSameSubject:
    """It is about this version: the same artefact, commit, environment lock and ``model.yaml``.

    The same model may be registered from several commits, with other thresholds or dependencies; what a gate said of one
    says nothing of another.
    """

    def refuses(self, attestation: StoredAttestation, facts: Facts) -> str | None:
        """Return why it does not count, or ``None`` if it does."""
        said, wanted = attestation.subject, facts.subject
        if said is None:
            return None  # it is not valid, which another rule tells
        for what, one, other in (
            ("the repository", said.repository, wanted.repository),
            ("the commit", said.commit, wanted.commit),
            ("a uv.lock", said.lock_digest, wanted.lock_digest),
            ("a model.yaml", said.spec_digest, wanted.spec_digest),
        ):
            if one != other:
                return f"it is about {what} {one[:40]}, the version has {other[:40]}"
        return None


@dataclass(frozen=True)
class RequireSigner:
    """It was signed by a kind of principal that the environment takes."""

    kinds: Sequence[str]

    def refuses(self, attestation: StoredAttestation, facts: Facts) -> str | None:
        """Return why it does not count, or ``None`` if it does."""
        if attestation.principal_kind in self.kinds:
            return None
        return f"{attestation.principal_ref} signed it; only a {' or '.join(self.kinds)} counts here"


class Requirement(Protocol):
    """One demand of an environment."""

    def judge(self, facts: Facts) -> Finding:
        """Say whether it is met, and why or why not."""
        ...


@dataclass(frozen=True)
class RequireGate:
    """A gate came out as the environment accepts; the newest attestation decides, whatever older ones said.

    Attestations about other versions with the same artefact, and those of signers that the environment does not take, are
    left aside, unless there is no other.
    """

    gate: Gate
    accept: Sequence[Outcome]
    signer: RequireSigner
    rules: Sequence[AttestationRule] = (RequireValid(), RequireSameSubject())

    def judge(self, facts: Facts) -> Finding:
        """Say whether it is met, and why or why not."""
        name = f"gate:{self.gate}"
        said = [one for one in facts.attestations if one.gate == self.gate]
        if not said:
            return Finding(name, "missing", f"no attestation of the {self.gate} gate for this artefact")
        same = RequireSameSubject()
        about = [one for one in said if same.refuses(one, facts) is None]
        counting = [one for one in about if self.signer.refuses(one, facts) is None] or about
        newest = (counting or said)[-1]
        for rule in (self.signer, *self.rules):
            if reason := rule.refuses(newest, facts):
                return Finding(name, "failed", f"the newest attestation does not count: {reason}", newest.id)
        summary = f": {newest.gate_result.summary}" if newest.gate_result else ""
        if newest.outcome in self.accept:
            return Finding(name, "met", f"{newest.outcome}{summary}", newest.id)
        if newest.outcome == Outcome.FAILED and (waived := self._waived(newest, facts)):
            return Finding(name, "met", f"failed, and waived {waived}{summary}", newest.id)
        accepted = " or ".join(self.accept)
        return Finding(name, "failed", f"{newest.outcome}, accepted is {accepted}{summary}", newest.id)

    def _waived(self, attestation: StoredAttestation, facts: Facts) -> str | None:
        """Say by whom and until when each failed check is waived; ``None`` as long as one of them is not."""
        result = attestation.gate_result
        failed = {check.name for check in result.checks if check.outcome == Outcome.FAILED} if result else set()
        covering = [one for one in facts.waivers if one.gate == self.gate and one.checks & failed]
        if not failed or not failed <= frozenset().union(*(one.checks for one in covering)):
            return None
        return "; ".join(f"by {one.by} until {one.until:%Y-%m-%d} ({one.reason})" for one in covering)


@dataclass(frozen=True)
class RequireClassification:
    """No data set is declared less sensitive than the catalog knows it to be."""

    def judge(self, facts: Facts) -> Finding:
        """Say whether it is met, and why or why not."""
        below = [one for one in facts.data if not one.agrees]
        if below:
            said = "; ".join(
                f"model.yaml gives {one.name} the class {one.declared}, the catalog {one.known} ({one.basis})"
                for one in below
            )
            return Finding(CLASSIFICATION, "failed", said)
        said = ", ".join(
            f"{one.name} {one.declared}" + ("" if one.known else " (by model.yaml alone)") for one in facts.data
        )
        return Finding(CLASSIFICATION, "met", f"as declared: {said}" if said else "no data set is declared")


@dataclass(frozen=True)
class RequireApproval:
    """Somebody said yes who may: the access policies decide about that, when somebody says something."""

    approval: ApprovalSettings

    def groups(self, facts: Facts) -> list[str]:
        """Return the groups whose members may decide."""
        return list(self.approval.groups) or [facts.owner]

    def judge(self, facts: Facts) -> Finding:
        """Say whether it is met, and why or why not."""
        if not facts.decisions:
            who = " or ".join(self.groups(facts))
            besides = ", but not its author" if self.approval.not_author else ""
            return Finding(APPROVAL, "waiting", f"waits for a member of {who}{besides}")
        last = facts.decisions[-1]
        comment = f": {last.comment}" if last.comment else ""
        if last.approved:
            return Finding(APPROVAL, "met", f"approved by {last.by}{comment}")
        return Finding(APPROVAL, "failed", f"rejected by {last.by}{comment}")


@dataclass(frozen=True)
class RequireErrorBudget:
    """The model has error budget left, or the version is known to work there, or somebody takes the risk."""

    def judge(self, facts: Facts) -> Finding:
        """Say whether it is met, and why or why not."""
        if not facts.budgets:
            return Finding(ERROR_BUDGET, "met", "no objective is without error budget")
        said = ", ".join(f"{one.slo} ({100 * one.remaining:.0f} %)" for one in facts.budgets)
        if facts.was_live:
            return Finding(
                ERROR_BUDGET, "met", f"no error budget is left of {said}, but the version was live here before"
            )
        decision = facts.decisions[-1] if facts.decisions else None
        if decision is None:
            return Finding(
                ERROR_BUDGET, "waiting", f"no error budget is left of {said}: somebody has to approve the risk"
            )
        if decision.approved:
            return Finding(ERROR_BUDGET, "met", f"no error budget is left of {said}; {decision.by} took the risk")
        return Finding(
            ERROR_BUDGET, "failed", f"no error budget is left of {said}; {decision.by} did not take the risk"
        )


@dataclass(frozen=True)
class RequireQuota:
    """There is room for it under what its team may take up."""

    def judge(self, facts: Facts) -> Finding:
        """Say whether it is met, and why or why not."""
        over = [one for one in facts.quotas if one.exceeded]
        if not over:
            said = ", ".join(
                f"{_amount(one.used + one.asked)} of {_amount(one.limit)} {one.unit}" for one in facts.quotas
            )
            return Finding(QUOTA, "met", f"there is room: {said}")
        said = "; ".join(
            f"{one.resource}: {_amount(one.used)} of {_amount(one.limit)} {one.unit} are in use by {one.team} in "
            f"{one.environment}, and this version asks for {_amount(one.asked)} ({one.setting})"
            for one in over
        )
        return Finding(QUOTA, "failed", f"{said}; {' or '.join(over[0].changed_by)} may raise it")


@dataclass(frozen=True)
class Verdict:
    """All requirements of an environment."""

    findings: tuple[Finding, ...]

    @property
    def unmet(self) -> list[Finding]:
        """What is missing or failed."""
        return [one for one in self.findings if one.state in ("missing", "failed")]

    @property
    def waiting(self) -> bool:
        """Whether a person still has to decide."""
        return any(one.state == "waiting" for one in self.findings)

    def as_json(self) -> list[dict[str, str | None]]:
        """Return all requirements as they are stored and sent."""
        return [one.as_json() for one in self.findings]


def requirements_of(environment: EnvironmentSettings) -> list[Requirement]:
    """Return what an environment demands."""
    signer = RequireSigner(environment.policy.signers)
    demands: list[Requirement] = [
        RequireGate(gate, accept, signer)
        for gate in Gate
        if (accept := environment.policy.require.get(gate)) is not None
    ]
    if environment.policy.data_classification:
        demands.append(RequireClassification())
    budget = environment.policy.error_budget
    if environment.approval.required if budget is None else budget:
        demands.append(RequireErrorBudget())
    if environment.approval.required:
        demands.append(RequireApproval(environment.approval))
    return demands


def decide(environment: EnvironmentSettings, facts: Facts) -> Verdict:
    """Judge every requirement."""
    quota = [RequireQuota()] if facts.quotas else []
    return Verdict(tuple(demand.judge(facts) for demand in [*quota, *requirements_of(environment)]))


def _amount(value: Decimal) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
