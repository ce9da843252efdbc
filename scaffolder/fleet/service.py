"""What people ask of the fleet; the work itself is in :mod:`scaffolder.fleet.work`."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, FleetResource
from backend.core.actions import ActionOut, tried
from backend.core.errors import Conflict, InvalidInput, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal
from scaffolder.fleet import repository
from scaffolder.fleet.clones import Clones
from scaffolder.fleet.inventory import Behind, InventorySteps
from scaffolder.fleet.models import Campaign, CampaignState, FleetRepository, Inventory, Member, MemberState
from scaffolder.fleet.proposing import Proposer
from scaffolder.fleet.repository import Place
from scaffolder.fleet.rerun import Rerun, propose_rerun
from scaffolder.hosts.base import PullRequest
from scaffolder.service import translated
from scaffolder.update.pool import UpdatePool

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.fleet"
_DECISIONS = {
    "pause": (CampaignState.RUNNING,),
    "resume": (CampaignState.PAUSED,),
    "advance": (CampaignState.RUNNING,),
    "retry": (CampaignState.RUNNING, CampaignState.PAUSED),
    "abort": (CampaignState.RUNNING, CampaignState.PAUSED),
}


@dataclass(frozen=True)
class CampaignWish:
    """What somebody asks for."""

    template: str
    version: str
    owner: str | None = None
    repository: Place | None = None
    waves: Sequence[int] = (3,)
    parallelism: int = 4

    @property
    def place(self) -> str:
        """The one repository that it is about, as ``host/org/name``; empty for the fleet."""
        return "/".join(self.repository or ())


class FleetService:
    """See the module's docstring."""

    def __init__(self, services: "Services", clones: Clones, inventory: InventorySteps) -> None:
        self._services, self._clones, self._inventory = services, clones, inventory

    # inventory

    def refresh(self, session: Session, caller: str) -> Inventory:
        """Have all repositories looked at; a pass that is under way already will do."""
        waiting = repository.inventories_to_do(session)
        if waiting:
            return waiting[-1]
        row = Inventory(id=new_id(), started_at=self._services.clock.now(), requested_by=caller, found=0)
        session.add(row)
        session.flush()
        return row

    def inventory(self, session: Session, inventory_id: str) -> Inventory:
        """Return a pass.

        Raises:
            NotFound: there is none with that id.
        """
        row = repository.inventory(session, inventory_id)
        if row is None:
            raise NotFound(f"there is no inventory {inventory_id[:40]!r}")
        return row

    def see(self, place: Place) -> None:
        """Look at a repository that is new, so that nobody has to wait for the next pass to see it.

        Raises:
            HostError: its host does not answer.
        """
        self._inventory.see(place)

    def seen(self, session: Session, place: Place) -> FleetRepository:
        """Return what the last pass saw of a repository.

        Raises:
            NotFound: no pass has seen it, or it came from no template.
        """
        row = repository.fleet_repository(session, place)
        if row is None:
            raise NotFound(
                f"there is no repository {'/'.join(place)[:100]} that came from a template",
                fix="A new one is seen by the next pass: platform fleet status",
            )
        return row

    def of_identities(self, session: Session, identities: Collection[str]) -> dict[str, FleetRepository]:
        """Return what the last pass saw of models' repositories; those that no pass has seen are left out.

        An identity without a host and organisation has its name alone.
        """
        seen: dict[str, list[FleetRepository]] = {}
        for one in repository.by_name(session, {identity.rpartition("/")[2] for identity in identities}):
            seen.setdefault(one.name, []).append(one)
        found = {}
        for identity in identities:
            name = identity.rpartition("/")[2]
            for one in seen.get(name, ()):
                if identity == f"local/{name}" or identity.endswith(f"/{one.org}/{name}"):
                    found[identity] = one
                    break
        return found

    def from_templates(self, session: Session) -> Sequence[FleetRepository]:
        """Return what the last pass saw of all repositories that came from a template that the platform knows."""
        return repository.from_templates(session)

    def propose_rerun(self, host: str, org: str, name: str, wish: Rerun) -> PullRequest:
        """Open a pull request without a change, so that its pipeline runs; see :mod:`scaffolder.fleet.rerun`."""
        return propose_rerun(self._services.hosts, self._clones, host, org, name, wish)

    # campaigns

    def check(self, caller: Principal, wish: CampaignWish) -> None:
        """Find out whether somebody may start a campaign, and to a version that there is.

        Through the fleet platform administrators may; for one repository the members of its owner group may as well.

        Raises:
            Forbidden: the caller may not.
            NotFound: the repository is none that came from a template.
            InvalidInput: there is no such template or version.
            Unavailable: the template can't be fetched now.
        """
        with self._services.database.read() as session:
            self._may_start(session, caller, wish)
        with translated():
            self._services.templates.release(wish.template, wish.version)

    def plan(self, caller: Principal, wish: CampaignWish) -> list[Behind]:
        """Return the repositories that a campaign would be about; nothing is changed.

        Raises:
            As :meth:`check`.
        """
        self.check(caller, wish)
        with translated():
            return self._inventory.behind(wish.template, wish.version, wish.owner, wish.place)

    def start(self, session: Session, caller: Principal, wish: CampaignWish) -> Campaign:
        """Start a campaign. One for another version of the same template that is under way is superseded by it.

        Raises:
            Forbidden: the policies say no by now.
            NotFound: the repository is none that came from a template.
            Conflict: a campaign for this very version is under way.
        """
        decision, now = self._may_start(session, caller, wish), self._services.clock.now()
        before = repository.under_way(session, wish.template, wish.place)
        if before is not None:
            if before.version == wish.version and before.owner == wish.owner:
                raise Conflict(
                    f"a campaign for {wish.template} {wish.version} is under way",
                    fix=f"Follow it: platform fleet campaign show {before.id}",
                    campaign=before.id,
                )
            self.end(session, before, CampaignState.SUPERSEDED, caller, f"superseded by a campaign for {wish.version}")
            session.flush()
        row = Campaign(
            id=new_id(),
            template=wish.template,
            version=wish.version,
            owner=wish.owner,
            repository=wish.place,
            waves=list(wish.waves),
            parallelism=wish.parallelism,
            state=CampaignState.RUNNING,
            requested_by=caller.ref,
            requested_at=now,
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:
            raise Conflict(f"a campaign for {wish.template} was started just now", fix="Try again.") from None
        self.record(
            session,
            row,
            "started",
            caller,
            owner=wish.owner,
            repository=wish.place or None,
            waves=list(wish.waves),
            access=decision.as_json(),
        )
        return row

    def campaign(self, session: Session, campaign_id: str) -> Campaign:
        """Return a campaign.

        Raises:
            NotFound: there is none with that id.
        """
        row = repository.campaign(session, campaign_id)
        if row is None:
            raise NotFound(f"there is no campaign {campaign_id[:40]!r}")
        return row

    def decide(
        self,
        session: Session,
        caller: Principal,
        campaign_id: str,
        decision: str,
        *,
        reason: str | None = None,
        keep_requests: bool = False,
    ) -> Campaign:
        """Pause, resume or abort a campaign, let its next wave begin, or try again what failed.

        Raises:
            NotFound: there is none with that id.
            Forbidden: the caller is no platform administrator.
            InvalidInput: a reason is missing.
            Conflict: the campaign is not in a state for it.
        """
        permitted = self._check_decides(session, caller, decision, self.campaign(session, campaign_id))
        row = repository.campaign(session, campaign_id, lock=True)
        assert row is not None
        if decision not in _open_to(row):
            raise Conflict(f"a campaign that is {row.state} can't be told to {decision}")
        if decision in ("abort", "advance") and not reason:
            raise InvalidInput(f"to {decision} a campaign takes a reason")
        if decision == "pause":
            row.state, row.message = CampaignState.PAUSED, f"paused by {caller.ref}"
        elif decision == "resume":
            row.state, row.message = CampaignState.RUNNING, None
        elif decision == "advance":
            row.advanced = True
        elif decision == "abort":
            row.state, row.keep_requests = CampaignState.ABORTING, keep_requests
            row.message = f"aborted by {caller.ref}: {reason}"
        else:
            for member in repository.members(session, campaign_id, states=[MemberState.FAILED]):
                member.state, member.message = MemberState.PENDING, None
        words = {"pause": "paused", "resume": "resumed", "advance": "advanced", "abort": "abort_requested"}
        self.record(session, row, words.get(decision, "retried"), caller, reason=reason, access=permitted.as_json())
        return row

    def actions(self, session: Session, caller: Principal) -> list[ActionOut]:
        """Return what can be done about the fleet, and whether the caller may do it as things are."""

        def something_to_decide() -> None:
            rows = (repository.campaign(session, one) for one in repository.to_work_on(session))
            if not any(row is not None and _open_to(row) for row in rows):
                raise Conflict("no campaign is under way that could be told anything")

        return [
            tried("startCampaign", lambda: self._may(session, caller, Action.OPEN_CAMPAIGN, "start")),
            tried(
                "decideCampaign",
                lambda: self._may(session, caller, Action.DECIDE_CAMPAIGN, "decide on"),
                something_to_decide,
            ),
            tried("takeInventory"),
        ]

    def end(self, session: Session, row: Campaign, state: CampaignState, actor: Principal | str, message: str) -> None:
        """Write how a campaign ended."""
        row.state, row.message, row.finished_at = state, message[:2000], self._services.clock.now()
        self.record(session, row, state.value, actor, message=row.message, counts=repository.counts(session, row.id))

    @contextmanager
    def proposer(self, template: str, version: str) -> Iterator[Proposer]:
        """Give what proposes updates to a version of a template, with its processes."""
        services = self._services
        release = services.templates.release(template, version)
        engine = services.rendering.update_engine(release)
        with UpdatePool(services.rendering.pool_options(release)) as pool:
            yield Proposer(services.hosts, self._clones, pool, engine)

    def record(self, session: Session, row: Campaign, event: str, actor: Principal | str, **data: Any) -> None:
        """Write an audit event about a campaign."""
        self._services.audit.append(
            session,
            type=f"{EVENT}.campaign.{event}",
            subject=f"campaign:{row.id}",
            actor=actor,
            data={"template": row.template, "version": row.version, **data},
        )

    def record_member(self, session: Session, campaign: Campaign, row: Member, actor: str) -> None:
        """Write an audit event about a repository of a campaign."""
        self._services.audit.append(
            session,
            type=f"{EVENT}.update.{row.state}",
            subject=f"repository:{row.org}/{row.name}",
            actor=actor,
            data={
                "campaign": campaign.id,
                "host": row.host,
                "from": row.from_version,
                "to": campaign.version,
                "number": row.number,
                "commit": row.head_commit,
                "conflicts": [one["path"] for one in row.conflicts or ()][:50],
                "message": row.message,
            },
        )

    def _may_start(self, session: Session, caller: Principal, wish: CampaignWish) -> Decision:
        if wish.repository is None:
            return self._may(session, caller, Action.OPEN_CAMPAIGN, "start", subject=f"template:{wish.template[:63]}")
        about = self.seen(session, wish.repository)
        return self._may(session, caller, Action.OPEN_CAMPAIGN, "start", about)

    def _check_decides(self, session: Session, caller: Principal, decision: str, row: Campaign) -> Decision:
        about = None
        if row.repository:
            host, _, rest = row.repository.partition("/")
            org, _, name = rest.rpartition("/")
            about = repository.fleet_repository(session, (host, org, name))
        subject = None if about is not None else f"campaign:{row.id}"
        return self._may(session, caller, Action.DECIDE_CAMPAIGN, decision, about, subject=subject)

    def _may(
        self,
        session: Session,
        caller: Principal,
        action: Action,
        verb: str,
        about: FleetRepository | None = None,
        *,
        subject: str | None = None,
    ) -> Decision:
        """Let through whom the policies permit a campaign through the fleet, or about one repository of it."""
        groups = list(self._services.settings.permissions.platform_admins)
        if about is None:
            resource, what = FleetResource(()), "campaigns"
        else:
            owners = (about.owner.lower(),) if about.owner else ()
            resource = FleetResource(owners, ref=f"repository:{about.org}/{about.name}")
            what, groups = f"an update of {about.org}/{about.name}", [*owners, *groups]
        return self._services.access.require(
            session,
            caller,
            action,
            resource,
            detail=f"{caller.ref} may not {verb} {what}",
            fix=f"Members of {' or '.join(groups)} may.",
            event=f"{EVENT}.campaign.refused",
            subject=subject,
            verb=verb,
        )


def _open_to(row: Campaign) -> list[str]:
    """Return the decisions that a campaign can take as it is."""
    return [decision for decision, states in _DECISIONS.items() if row.state in states]
