"""Drift: which reports there are, what they say about a model, and making one."""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.audit.service import PLATFORM
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.drift import repository
from backend.drift.child import Judged, judged
from backend.drift.gathering import Gathering, Window
from backend.drift.judging import LEAST_ROWS, alpha_of
from backend.drift.labels import Labels
from backend.drift.models import WORST_FIRST, DriftOutcome, DriftReport, ReportState
from backend.drift.window import PartWindow
from backend.identity.principal import Principal
from backend.observability.raised import OWN, Raised
from mlplatform.reference.profile import ALL, Reference, Side
from mlplatform.spec.model import ModelSpec, ModelType

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.drift.report"
LONGEST_WINDOW = timedelta(days=31)
KINDS = ("data", "prediction", "performance")
_ALERTS = {"data": "DataDrift", "prediction": "PredictionDrift", "performance": "PerformanceDrift"}
_WHAT = {
    "data": "its inputs are not distributed as in the training data any more",
    "prediction": "its answers are not distributed as they were when it was judged",
    "performance": "its answers are further from the truth than when it was judged",
}
_RUNBOOK = "/docs/default/component/ml-platform/how-to/read-a-drift-report/"

Judge = Callable[[Reference, Sequence[tuple[PartWindow, bool]], float], Judged]


class DriftService:
    """See the module's docstring. ``judge`` runs in a process of its own unless a test brings another."""

    def __init__(self, services: "Services", judge: Judge = judged) -> None:
        self._services = services
        self.labels = Labels(services)
        self._gathering = Gathering(services)
        self.judge = judge

    def get(self, session: Session, id: str) -> DriftReport:
        """Return a report with its judgement.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.whole(session, id)
        if found is None:
            raise NotFound(f"there is no drift report {id[:40]!r}", fix="`platform drift list` shows them.")
        return found

    def may_ask(self, session: Session, caller: Principal, model: str) -> Decision:
        """Let through whom the policies permit to ask for a report of the model; return their decision.

        Raises:
            NotFound: there is no such model.
            Forbidden: the policies say no.
        """
        about = self._services.access.model(session, model)
        return self._services.access.require(
            session,
            caller,
            Action.REQUEST_DRIFT_REPORT,
            about,
            detail=f"{caller.ref} may not ask for a drift report of {model}",
            fix=f"Members of {about.owner} may.",
            event=f"{EVENT}.refused",
        )

    def ask(self, session: Session, caller: Principal, model: str, environment: str) -> tuple[DriftReport, bool]:
        """Ask for a report about what has come since the last one; return it, and whether it is new.

        Raises:
            Forbidden: the caller may not.
            Conflict: no version of the model is live there.
        """
        decision = self.may_ask(session, caller, model)
        live = {(place, name): version for place, name, version in self._services.deployments.live_everywhere(session)}
        if (environment, model) not in live:
            raise Conflict(
                f"no version of {model} is live in {environment}", fix=f"platform deploy --env {environment}"
            )
        row, new = self.begin(session, model, environment, live[environment, model], caller)
        if new:
            self._record(session, row, "asked", caller, access=decision.as_json())
        return row, new

    def begin(
        self, session: Session, model: str, environment: str, version: int, caller: Principal | None = None
    ) -> tuple[DriftReport, bool]:
        """Put down a report to be made; the one that is put down already is returned as it is."""
        lock_for_transaction(session, f"drift:{model}/{environment}")
        found = repository.pending(session, model, environment)
        if found is not None:
            return found, False
        now, id = self._services.clock.now(), new_id()
        first = max(
            self._services.deployments.live_since(session, environment, model, version) or now - LONGEST_WINDOW,
            now - LONGEST_WINDOW,
        )
        ends = [
            max(
                [
                    first,
                    *(
                        one.until
                        for kind in kinds
                        if (one := repository.judged(session, model, environment, kind, before=id))
                    ),
                ]
            )
            for kinds in (("data", "prediction"), ("performance",))
        ]
        row = DriftReport(
            id=id,
            model=model,
            environment=environment,
            version=version,
            state=ReportState.PENDING.value,
            scheduled=caller is None,
            requested_by=PLATFORM if caller is None else caller.ref,
            requested_at=now,
            since=min(ends[0], now),
            until=now,
            labels_since=min(ends[1], now),
            drifted=[],
        )
        session.add(row)
        session.flush()
        return row, True

    def due(self, session: Session, model: str, environment: str, version: int, spec: ModelSpec) -> bool:
        """Say whether it is time for a scheduled report."""
        batch = spec.type is ModelType.BATCH
        if (not batch and spec.serving.samples is None) or repository.pending(session, model, environment) is not None:
            return False
        last = repository.newest(session, model, environment)
        since = self._services.deployments.live_since(session, environment, model, version)
        times = [since] if since is not None else []
        times += [last.until] if last is not None else []
        now = self._services.clock.now()
        if not times or now - max(times) < spec.drift.interval:
            return False
        return not batch or self._anything_since(session, model, environment, version, max(times), now)

    def judgements(
        self, session: Session, environment: str, model: str, indicator: str, since: datetime
    ) -> list[tuple[float, bool]]:
        """Return what the objectives of kind ``drift`` and ``quality`` count: reports, and whether they were good."""
        kinds = ("performance",) if indicator == "quality" else ("data", "prediction")
        found = []
        for row in repository.since(session, model, environment, since):
            said = [value for kind in kinds if (value := getattr(row, f"{kind}_drifted")) is not None]
            if said:
                found.append((row.until.timestamp(), not any(said)))
        return found

    def standings(self, session: Session, models: Sequence[str]) -> dict[str, dict[tuple[str, int], str]]:
        """Return what the newest report of each model said, by environment and version."""
        found: dict[str, dict[tuple[str, int], str]] = {}
        for row in repository.newest_of(session, models):
            found.setdefault(row.model, {})[row.environment, row.version] = row.outcome or ""
        return found

    def make(self, id: str) -> str | None:
        """Make a report that is put down; return the outcome. Made again it stays as it is."""
        with self._services.database.read() as session:
            row = repository.find(session, id)
            if row is None or row.state != ReportState.PENDING:
                return None if row is None else row.outcome
            version = self._services.registry.get_version(session, row.model, row.version)
            spec = ModelSpec.model_validate(version.spec)
            reference = self._services.registry.reference(version)
            digest = version.lineage.get("referenceDigest")
            gather = self._gathering.of(session, row, spec)
            spent = self._spent_until(session, row)
        window = gather()
        rows_enough = window.rows >= spec.drift.min_rows
        labels_enough = window.labelled >= LEAST_ROWS
        done: Judged | None = None
        alpha = alpha_of(row.until - spent, self._services.settings.drift.false_alarms)
        if reference is not None and (rows_enough or labels_enough):
            parts = [one for one in window.parts if (labels_enough if one[1] else rows_enough)]
            done = self.judge(reference, parts, alpha)
        with self._services.database.write() as session:
            return self._keep(session, id, spec, window, done, digest, alpha)

    def give_up(self, id: str, reason: str) -> None:
        """End a report that can't be made; the next one covers its window too."""
        with self._services.database.write() as session:
            row = repository.find(session, id)
            if row is not None and row.state == ReportState.PENDING:
                row.state, row.reason, row.finished_at = ReportState.FAILED.value, reason, self._services.clock.now()
                self._record(session, row, "failed", PLATFORM, reason=reason)

    def prune(self) -> None:
        """Delete reports and labels that are over."""
        now, settings = self._services.clock.now(), self._services.settings.drift
        with self._services.database.write() as session:
            repository.drop_reports(session, now - settings.reports_kept)
            repository.drop_truths(session, now - settings.labels_kept)

    def _spent_until(self, session: Session, row: DriftReport) -> datetime:
        """Return until when error rates were spent on this model: what is spent next begins there."""
        ends = [
            one.until
            for kind in KINDS
            if (one := repository.judged(session, row.model, row.environment, kind, before=row.id)) is not None
        ]
        return max([*ends, min(row.since, row.labels_since)])

    def _anything_since(
        self, session: Session, model: str, environment: str, version: int, since: datetime, until: datetime
    ) -> bool:
        """Say whether a run has ended or a label has come: a batch model that rests has nothing to report."""
        return bool(
            self._services.batch.replaced(session, environment, model, version, since, until)
            or repository.any_truth(session, model, environment, since, until)
        )

    def _keep(
        self,
        session: Session,
        id: str,
        spec: ModelSpec,
        window: Window,
        done: Judged | None,
        digest: str | None,
        alpha: float,
    ) -> str | None:
        row = repository.find(session, id)
        if row is None or row.state != ReportState.PENDING:
            return None if row is None else row.outcome
        row.state, row.finished_at = ReportState.DONE.value, self._services.clock.now()
        row.rows, row.labelled, row.reference_digest = window.rows, window.labelled, digest
        row.reason = window.note
        if digest is None:
            row.outcome = DriftOutcome.NO_REFERENCE.value
            row.reason = f"v{row.version} was registered without a training reference; `platform validate` makes one"
        elif done is None or not done.judgement["findings"]:
            row.outcome = DriftOutcome.NOT_ENOUGH_ROWS.value
            row.reason = "; ".join(filter(None, (_too_few(spec, window), window.note)))
        else:
            self._judged(row, done, alpha)
        self._record(
            session, row, str(row.outcome), PLATFORM, rows=row.rows, labelled=row.labelled, drifted=row.drifted
        )
        session.flush()
        self._raise(session, row)
        self._services.overview.changed(session, row.model)
        return row.outcome

    def _judged(self, row: DriftReport, done: Judged, alpha: float) -> None:
        findings = done.judgement["findings"]
        row.alpha, row.judgement = alpha, done.judgement
        row.drifted = sorted((one for one in findings if one["drifted"]), key=lambda one: one["p"])
        row.dashboard = gzip.compress(json.dumps(done.dashboard).encode(), mtime=0)
        for kind, side in zip(KINDS, ("input", "output", "error"), strict=True):
            own = [one["drifted"] for one in findings if one["side"] == side]
            setattr(row, f"{kind}_drifted", any(own) if own else None)
        row.outcome = (DriftOutcome.DRIFTED if row.drifted else DriftOutcome.HEALTHY).value

    def _raise(self, session: Session, row: DriftReport) -> None:
        """Open or feed the model's incident with what has drifted, and end there what has not any more."""
        raised = []
        for kind in KINDS:
            drifted = getattr(row, f"{kind}_drifted")
            if drifted is None:
                continue
            began = repository.drifted_since(session, row.model, row.environment, kind, before=row.id)
            if not drifted and began is None:
                continue
            columns = [one for one in row.drifted if one["side"] == _side(kind)]
            names = ", ".join(
                f"{one['column']}{'' if one['part'] == ALL else ' where ' + one['part']}" for one in columns[:5]
            )
            raised.append(
                Raised(
                    name=_ALERTS[kind],
                    model=row.model,
                    environment=row.environment,
                    slo=None,
                    burn=None,
                    severity="ticket",
                    summary=f"{row.model} in {row.environment}: {kind} drift" + (f" in {names}" if names else ""),
                    description=f"Of v{row.version} {_WHAT[kind]}. Report {row.id}.",
                    runbook=_RUNBOOK,
                    began=began or row.until,
                    ended=None if drifted else row.until,
                    source=OWN,
                )
            )
        if raised:
            self._services.incidents.take(session, raised)

    def _record(self, session: Session, row: DriftReport, what: str, actor: Principal | str, **data: Any) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.{what}",
            subject=f"model:{row.model}/drift/{row.id}",
            actor=actor,
            data={
                "report": row.id,
                "environment": row.environment,
                "version": row.version,
                "since": row.since.astimezone(UTC).isoformat(),
                "until": row.until.astimezone(UTC).isoformat(),
                **data,
            },
        )


def worst(outcomes: Iterable[str]) -> str:
    """Return which outcome speaks for several; nothing for none."""
    found = set(outcomes)
    return next((one.value for one in WORST_FIRST if one in found), "")


def _side(kind: str) -> Side:
    sides: dict[str, Side] = {"data": "input", "prediction": "output", "performance": "error"}
    return sides[kind]


def _too_few(spec: ModelSpec, window: Window) -> str:
    batch = spec.type is ModelType.BATCH
    rows = f"{window.rows} {'' if batch else 'sampled '}rows"
    said = f"{rows} and {window.labelled} labelled ones; {spec.drift.min_rows} or {LEAST_ROWS} are needed"
    if spec.serving.samples is None and not batch:
        return f"{said}, and model.yaml has no serving.samples"
    return said
