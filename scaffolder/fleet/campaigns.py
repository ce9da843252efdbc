"""Carrying a campaign out: wave by wave, with what is open watched until nothing is.

All that is known is in the rows, so that a campaign goes on wherever the process was killed, and whoever pauses, aborts or
supersedes it only writes a row.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from backend.audit.service import PLATFORM
from backend.core.config_scaffolding import EmbeddedHostSettings
from backend.core.workflows import RuntimeStopping
from scaffolder.errors import HostError, HostUnavailable, ScaffoldError
from scaffolder.fleet import repository
from scaffolder.fleet.clones import Clones
from scaffolder.fleet.inventory import Behind, InventorySteps
from scaffolder.fleet.models import OVER, SETTLED, WATCHED, Campaign, CampaignState, Member, MemberState
from scaffolder.fleet.proposing import Proposal, Proposer, Wanted, run_check
from scaffolder.hosts.base import Checks, GitHost, HostedRepository, PullRequest, PullState

if TYPE_CHECKING:
    from backend.core.container import Services

_PATIENCE = 30.0
_SECONDS_EACH = 3.0


class CampaignSteps:
    """See the module's docstring."""

    def __init__(self, services: "Services", clones: Clones, inventory: InventorySteps) -> None:
        self._services, self._clones, self._inventory = services, clones, inventory

    def collect(self, id: str) -> None:
        """Write down which repositories the campaign is about, in waves, unless that was done."""
        campaign = self._read(id)
        if campaign.collected or campaign.state in OVER:
            return
        found = self._behind(campaign)
        if found is None:
            return
        sizes = list(campaign.waves)
        with self._services.database.write() as session:
            row = repository.campaign(session, id, lock=True)
            assert row is not None
            if row.collected:
                return
            wave = 0
            for position, one in enumerate(found):
                if wave < len(sizes) and position >= sum(sizes[: wave + 1]):
                    wave += 1
                session.add(
                    Member(
                        campaign_id=id,
                        position=position,
                        host=one.host,
                        org=one.org,
                        name=one.name,
                        owner=one.owner,
                        wave=wave,
                        state=MemberState.PENDING,
                        from_version=one.version,
                        updated_at=self._now(),
                    )
                )
            row.collected = True
            row.message = f"{len(found)} repositories are to be updated"
            self._services.fleet.record(session, row, "collected", PLATFORM, repositories=len(found))

    def _behind(self, campaign: Campaign) -> list[Behind] | None:
        """Return the repositories that are behind, however long a host is down; nothing if the campaign ends meanwhile."""
        while self._read(campaign.id).state not in (*OVER, CampaignState.ABORTING):
            try:
                return self._inventory.behind(campaign.template, campaign.version, campaign.owner, campaign.repository)
            except HostError as fault:
                with self._services.database.write() as session:
                    row = repository.campaign(session, campaign.id, lock=True)
                    assert row is not None
                    row.message = f"waiting to know which repositories there are: {fault.message}"
            self._services.runtime.wait(self._services.settings.fleet.poll_interval.total_seconds())
        return None

    def carry_out(self, id: str) -> None:
        """Go on with the campaign until it is over."""
        campaign = self._read(id)
        if campaign.state in OVER:
            return
        with self._services.fleet.proposer(campaign.template, campaign.version) as proposer:
            while True:
                campaign = self._read(id)
                if campaign.state in OVER:
                    return
                if campaign.state == CampaignState.ABORTING:
                    self._abort(campaign)
                    return
                if campaign.state == CampaignState.RUNNING:
                    waiting = self._update(campaign, proposer)
                    self._watch(campaign)
                    if self._go_on(id) and not waiting:
                        continue
                self._services.runtime.wait(self._pause(id))

    def give_up(self, id: str, reason: str) -> None:
        """End a campaign that can't go on; its requests stay open."""
        with self._services.database.write() as session:
            row = repository.campaign(session, id, lock=True)
            if row is not None and row.state not in OVER:
                self._services.fleet.end(session, row, CampaignState.FAILED, PLATFORM, reason)

    # one round

    def _update(self, campaign: Campaign, proposer: Proposer) -> bool:
        """Propose what is still to be proposed in the waves that are open; say whether something has to wait."""
        with self._services.database.read() as session:
            pending = [
                one
                for one in repository.members(session, campaign.id, states=[MemberState.PENDING])
                if one.wave <= campaign.wave
            ]
        if not pending:
            return False

        def one(member: Member) -> bool:
            # Read anew for each: who pauses a campaign does not want a hundred more requests.
            if self._services.runtime.halting or self._read(campaign.id).state != CampaignState.RUNNING:
                return False
            return self._propose(campaign, member, proposer)

        with ThreadPoolExecutor(campaign.parallelism, thread_name_prefix="campaign") as threads:
            waiting = list(threads.map(one, pending))
        if self._services.runtime.halting:
            raise RuntimeStopping
        return any(waiting)

    def _propose(self, campaign: Campaign, member: Member, proposer: Proposer) -> bool:
        wanted = Wanted(campaign.id, campaign.template, campaign.version, member.host, member.org, member.name)
        try:
            self._keep(campaign, member, proposer.propose(wanted))
        except HostUnavailable as fault:
            self._note(campaign.id, member.position, f"waiting for {member.host}: {fault.message}")
            return True
        except ScaffoldError as fault:
            said = fault.message + (f"; {fault.fix}" if fault.fix else "")
            self._keep(campaign, member, Proposal(MemberState.FAILED, said, member.from_version))
        return False

    def _watch(self, campaign: Campaign) -> None:
        """Look what became of the requests that are open."""
        with self._services.database.read() as session:
            watched = repository.members(session, campaign.id, states=WATCHED)
        with ThreadPoolExecutor(campaign.parallelism, thread_name_prefix="campaign") as threads:
            list(threads.map(lambda member: self._look(campaign, member), watched))

    def _look(self, campaign: Campaign, member: Member) -> None:
        try:
            host = self._services.hosts.host(member.host, patience=_PATIENCE)
            hosted = host.find(member.org, member.name)
            pull = host.pull(hosted, member.number) if hosted is not None and member.number is not None else None
            moved = pull is not None and pull.mergeable is False and self._has_moved(host, hosted, member)
            if pull is not None and pull.head_commit != member.head_commit and pull.state is PullState.OPEN:
                pull = self._checked(host, hosted, pull)
        except HostError as fault:
            self._note(campaign.id, member.position, f"{member.host} can't be asked: {fault.message}")
            return
        state = seen_state(member, pull, moved=moved)
        message = member.message
        if pull is None:
            message = f"the repository or its request #{member.number} is not there any more"
        elif state is MemberState.PENDING:
            message = f"{pull.base} moved on so that #{pull.number} does not merge; it is computed again"
        elif state is MemberState.TAKEN_OVER:
            message = f"somebody works on the branch of #{pull.number}"
        with self._services.database.write() as session:
            row = repository.member(session, campaign.id, member.position)
            if row.state not in WATCHED:
                return
            changed = row.state != state
            row.state, row.message = state, message
            if pull is not None:
                row.checks, row.draft, row.head_commit = pull.checks, pull.draft, pull.head_commit
            if changed:
                row.updated_at = self._now()
                self._services.fleet.record_member(session, campaign, row, PLATFORM)

    def _has_moved(self, host: GitHost, hosted: HostedRepository | None, member: Member) -> bool:
        return hosted is not None and host.head(hosted) != member.base_commit

    def _checked(self, host: GitHost, hosted: HostedRepository | None, pull: PullRequest) -> PullRequest:
        """Check what somebody else has pushed, on a host that has no pipeline to do it."""
        if hosted is None or host.kind != "embedded":
            return pull
        with self._clones.fetched(host, hosted) as clone:
            return replace(pull, checks=run_check(host, hosted, clone, pull.head_commit))

    def _go_on(self, id: str) -> bool:
        """Open the next wave if this one is through, or end the campaign if nothing is left; say whether anything changed."""
        with self._services.database.write() as session:
            row = repository.campaign(session, id, lock=True)
            assert row is not None
            if row.state != CampaignState.RUNNING:
                return True
            members = repository.members(session, id)
            if all(one.state in SETTLED for one in members):
                counts = repository.counts(session, id)
                said = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
                self._services.fleet.end(session, row, CampaignState.COMPLETED, PLATFORM, said or "nothing was behind")
                return True
            last = max(one.wave for one in members)
            if row.wave >= last:
                return False
            held = [one for one in members if one.wave <= row.wave and not is_through(one)]
            if held and not row.advanced:
                row.message = _held(row.wave, held)
                return False
            row.wave += 1
            row.advanced, row.message = False, f"wave {row.wave + 1} of {last + 1} is open"
            self._services.fleet.record(session, row, "wave_opened", PLATFORM, wave=row.wave + 1)
            return True

    def _pause(self, id: str) -> float:
        """Return the time until the next look. Hosts elsewhere count requests by the hour, so many open ones take longer."""
        with self._services.database.read() as session:
            hosts = [one.host for one in repository.members(session, id, states=WATCHED)]
        far = sum(not isinstance(self._services.hosts.settings(host), EmbeddedHostSettings) for host in hosts)
        return max(self._services.settings.fleet.poll_interval.total_seconds(), far * _SECONDS_EACH)

    def _abort(self, campaign: Campaign) -> None:
        with self._services.database.read() as session:
            watched = repository.members(session, campaign.id, states=WATCHED)
        left = 0
        for member in watched if not campaign.keep_requests else ():
            if member.state == MemberState.TAKEN_OVER or not self._close(campaign, member):
                left += 1
        with self._services.database.write() as session:
            row = repository.campaign(session, campaign.id, lock=True)
            assert row is not None
            kept = f"; {left} requests stay open" if left else ""
            self._services.fleet.end(session, row, CampaignState.ABORTED, PLATFORM, (row.message or "aborted") + kept)

    def _close(self, campaign: Campaign, member: Member) -> bool:
        try:
            host = self._services.hosts.host(member.host, patience=_PATIENCE)
            hosted = host.find(member.org, member.name)
            if hosted is not None and member.number is not None:
                host.comment(
                    hosted, member.number, "The campaign was aborted, so this is closed.", key="template-update"
                )
                host.close_pull(hosted, member.number)
        except HostError as fault:
            self._note(campaign.id, member.position, f"it could not be closed: {fault.message}")
            return False
        with self._services.database.write() as session:
            row = repository.member(session, campaign.id, member.position)
            row.state, row.updated_at = MemberState.CLOSED, self._now()
            self._services.fleet.record_member(session, campaign, row, PLATFORM)
        return True

    # rows

    def _keep(self, campaign: Campaign, member: Member, proposal: Proposal) -> None:
        with self._services.database.write() as session:
            row = repository.member(session, campaign.id, member.position)
            if row.state != MemberState.PENDING:
                return
            row.state, row.message, row.conflicts = proposal.state, proposal.message, proposal.conflicts
            row.from_version = proposal.from_version or row.from_version
            row.base_commit, row.head_commit = proposal.base_commit, proposal.head_commit
            row.number, row.web_url = proposal.number, proposal.web_url
            row.draft, row.checks, row.updated_at = proposal.draft, proposal.checks, self._now()
            self._services.fleet.record_member(session, campaign, row, PLATFORM)

    def _note(self, id: str, position: int, message: str) -> None:
        with self._services.database.write() as session:
            repository.member(session, id, position).message = message[:2000]

    def _read(self, id: str) -> Campaign:
        with self._services.database.read() as session:
            row = repository.campaign(session, id)
            assert row is not None
            session.expunge(row)
            return row

    def _now(self) -> datetime:
        return self._services.clock.now()


def seen_state(member: Member, pull: PullRequest | None, *, moved: bool) -> MemberState:
    """Return a watched repository's state from its request as it is now.

    ``moved`` says that the request does not merge because the default branch went on since it was computed.
    """
    if pull is None:
        return MemberState.GONE
    if pull.state is PullState.MERGED:
        return MemberState.MERGED
    if pull.state is PullState.CLOSED:
        return MemberState.CLOSED
    if member.state == MemberState.TAKEN_OVER or pull.head_commit != member.head_commit:
        return MemberState.TAKEN_OVER
    if moved:
        return MemberState.PENDING
    return MemberState(member.state)


def is_through(member: Member) -> bool:
    """Say whether the next wave need not wait for this repository: merged, nothing to do, or green without a conflict."""
    if member.state in (MemberState.MERGED, MemberState.CURRENT, MemberState.GONE):
        return True
    return (
        member.state in (MemberState.OPEN, MemberState.TAKEN_OVER)
        and not member.draft
        and member.checks == Checks.GREEN
    )


def _held(wave: int, held: Sequence[Member]) -> str:
    names = ", ".join(f"{one.name} ({_why(one)})" for one in held[:5])
    more = f" and {len(held) - 5} more" if len(held) > 5 else ""
    return f"wave {wave + 2} waits for {names}{more}"


_reasons: dict[str, Callable[[Member], str]] = {
    MemberState.CONFLICTS: lambda one: "in conflict",
    MemberState.CLOSED: lambda one: "closed without being merged",
    MemberState.PENDING: lambda one: "not proposed yet",
    MemberState.FAILED: lambda one: "failed",
}


def _why(one: Member) -> str:
    reason = _reasons.get(one.state)
    if reason is not None:
        return reason(one)
    return "a draft" if one.draft else f"checks {one.checks or Checks.NONE}"
