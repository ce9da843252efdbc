"""How sensitive data is: what model.yaml declares, what a scan proposes, and what a person of the owner group confirms.

A person's word counts until a scan finds something above it; then the column waits for a person again, and until one has looked
the higher of the two counts. So a data set is never taken for less than anybody or anything says, except by name and reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, DatasetResource
from backend.core.database import lock_for_transaction
from backend.core.errors import InvalidInput, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal
from backend.registry.models import VersionRow
from catalog.datasets import repository
from catalog.datasets.models import Basis, Dataset, DatasetColumn
from catalog.refs import DEFAULT_NAMESPACE, make_ref
from mlplatform.spec.model import Classification, DataRole, ModelSpec

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.catalog.dataset"
_MOST_OF_ONE_ENTITY = 500


@dataclass(frozen=True)
class ColumnProposal:
    """What a scan proposes for one column."""

    name: str
    type: str
    classification: Classification
    reason: str
    evidence: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Inherited:
    """One data set that a version was made from, as model.yaml declares it and as the catalog knows it."""

    name: str
    uri: str
    role: DataRole
    declared: Classification
    known: Classification | None
    basis: str | None
    """What the known class rests on: the column, and who or what said so."""

    @property
    def effective(self) -> Classification:
        """The higher of both."""
        return highest([self.declared, *([self.known] if self.known else [])])


def highest(classes: Iterable[str]) -> Classification:
    """Return the most sensitive of some classes; ``public`` of none."""
    return max(map(Classification, classes), key=lambda each: each.level, default=Classification.PUBLIC)


def inherited_class(data: Sequence[Inherited]) -> Classification:
    """Return the class of a version: the highest of what it was trained on, or of all its data where none is for training."""
    trained = [one.effective for one in data if one.role is DataRole.TRAINING]
    return highest(trained or [one.effective for one in data])


def above(one: str, other: str) -> bool:
    """Say whether a class is more sensitive than another."""
    return Classification(one).level > Classification(other).level


class DatasetService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def get(self, session: Session, id: str) -> Dataset:
        """Return a data set.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.find(session, id)
        if found is None:
            raise NotFound(f"there is no data set {id[:40]!r}", fix="`platform data list` shows them.")
        return found

    def may(self, session: Session, caller: Principal, action: Action, dataset: Dataset) -> Decision:
        """Let through whom the policies permit to classify a data set; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        known = dataset.classification
        resource = DatasetResource(
            dataset.name, dataset.owner, Classification.SENSITIVE_PII if known is None else Classification(known)
        )
        return self._services.access.require(
            session,
            caller,
            action,
            resource,
            detail=f"{caller.ref} may not classify {dataset.name}",
            fix=f"Members of {dataset.owner} may.",
            event=f"{EVENT}.refused",
        )

    def propose(
        self,
        session: Session,
        caller: Principal,
        *,
        name: str,
        entity: str,
        owner: str,
        columns: Sequence[ColumnProposal],
    ) -> Dataset:
        """Take in what a scan found; what a person confirmed stays, unless the scan says more.

        Raises:
            Forbidden: the caller is not of the data set's owner group, or of the one that a new one is to have.
        """
        lock_for_transaction(session, f"dataset:{name}")
        dataset = repository.named(session, name) or self._new(name, entity, owner)
        decision = self.may(session, caller, Action.CLASSIFY, dataset)
        session.add(dataset)
        session.flush()
        now = self._services.clock.now()
        there = {row.name: row for row in repository.columns(session, [dataset.id])[dataset.id]}
        for one in columns:
            row = there.get(one.name)
            if row is None:
                row = DatasetColumn(dataset_id=dataset.id, name=one.name)
                session.add(row)
            row.type, row.evidence = one.type, [dict(found) for found in one.evidence]
            if row.basis == Basis.CONFIRMED:
                row.proposed = one.classification.value if above(one.classification, row.classification) else None
                continue
            row.classification = row.proposed = one.classification.value
            row.basis, row.decided_by, row.decided_at = Basis.DETECTED.value, caller.ref, now
            row.reason = one.reason
        self._settle(session, dataset)
        self._record(
            session,
            caller,
            dataset,
            "scanned",
            columns={one.name: one.classification.value for one in columns},
            found=sorted({str(found["entity"]) for one in columns for found in one.evidence}),
            access=decision.as_json(),
        )
        return dataset

    def confirm(
        self, session: Session, caller: Principal, id: str, classes: Mapping[str, Classification], reason: str | None
    ) -> Dataset:
        """Decide columns by a person's word.

        Raises:
            NotFound: there is no such data set.
            Forbidden: the caller may not decide.
            InvalidInput: a column is not there, or one is put below what a scan found without a reason.
        """
        dataset = self.get(session, id)
        lock_for_transaction(session, f"dataset:{dataset.name}")
        decision = self.may(session, caller, Action.CONFIRM_CLASSIFICATION, dataset)
        there = {row.name: row for row in repository.columns(session, [id])[id]}
        unknown = sorted(classes.keys() - there.keys())
        if unknown:
            raise InvalidInput(
                f"columns.{unknown[0][:80]}: {dataset.name} has no such column",
                fix=f"It has {', '.join(sorted(there))[:300]}."
                if there
                else "Have it scanned with `platform data classify`.",
            )
        lowered = [name for name, given in classes.items() if above(_seen(there[name]), given)]
        if lowered and not reason:
            raise InvalidInput(
                f"reason: is needed, since {', '.join(sorted(lowered))[:200]} would be below what was found there",
                fix="Say why the finding is wrong.",
            )
        now = self._services.clock.now()
        before = {name: there[name].classification for name in classes}
        for name, given in classes.items():
            row = there[name]
            row.classification, row.basis, row.proposed = given.value, Basis.CONFIRMED.value, None
            row.decided_by, row.decided_at, row.reason = caller.ref, now, reason
        self._settle(session, dataset)
        changes = {name: {"from": before[name], "to": given.value} for name, given in classes.items()}
        self._record(session, caller, dataset, "confirmed", columns=changes, reason=reason, access=decision.as_json())
        return dataset

    def registered(self, session: Session, version: VersionRow) -> None:
        """Take in what a version's model.yaml declares of its data. The highest declaration there ever was stays."""
        spec, by = ModelSpec.model_validate(version.spec), f"model:{version.model}/versions/{version.version}"
        for reference in spec.data:
            lock_for_transaction(session, f"dataset:{reference.uri}")
            dataset = repository.named(session, reference.uri)
            if dataset is None:
                dataset = self._new(reference.uri, make_ref("resource", DEFAULT_NAMESPACE, reference.name), spec.owner)
                session.add(dataset)
                session.flush()
            if dataset.declared is None or above(reference.classification, dataset.declared):
                dataset.declared, dataset.declared_by = reference.classification.value, by
                self._settle(session, dataset)

    def inherited(self, session: Session, spec: ModelSpec) -> list[Inherited]:
        """Return the data sets of a version with what is declared and what is known of each."""
        known = repository.all_named(session, [reference.uri for reference in spec.data])
        columns = repository.columns(session, [row.id for row in known.values()])
        found = []
        for reference in spec.data:
            row = known.get(reference.uri)
            classification = Classification(row.classification) if row is not None and row.classification else None
            found.append(
                Inherited(
                    reference.name,
                    reference.uri,
                    reference.role,
                    reference.classification,
                    classification,
                    _basis(row, columns[row.id]) if row is not None else None,
                )
            )
        return found

    def of_entity(self, session: Session, entity: str) -> tuple[str, Classification] | None:
        """Return owner and highest class of what a Resource of the catalog stands for, as far as it is classified."""
        rows = repository.datasets(
            session, owner=None, classification=None, entity=entity.lower(), after=None, limit=_MOST_OF_ONE_ENTITY
        )
        classes = [row.classification for row in rows if row.classification is not None]
        return (rows[0].owner, highest(classes)) if classes else None

    def unconfirmed(self, session: Session, names: Sequence[str]) -> dict[str, list[str] | None]:
        """Return, by data set, the columns that wait for a person; ``None`` for one of which no column is known."""
        known = repository.all_named(session, names)
        columns = repository.columns(session, [row.id for row in known.values()])
        found: dict[str, list[str] | None] = dict.fromkeys(names)
        for name, row in known.items():
            if own := columns[row.id]:
                found[name] = [one.name for one in own if one.basis != Basis.CONFIRMED or one.proposed]
        return found

    def _new(self, name: str, entity: str, owner: str) -> Dataset:
        now = self._services.clock.now()
        return Dataset(id=new_id(), name=name, entity=entity, owner=owner, created_at=now, changed_at=now)

    def _settle(self, session: Session, dataset: Dataset) -> None:
        """Work out the data set's class from its columns, and from what was declared as long as no column is known."""
        session.flush()
        columns = repository.columns(session, [dataset.id])[dataset.id]
        classes = [_seen(row) for row in columns] or ([dataset.declared] if dataset.declared else [])
        dataset.classification = highest(classes).value if classes else None
        dataset.changed_at = self._services.clock.now()

    def _record(self, session: Session, caller: Principal, dataset: Dataset, what: str, **data: Any) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.{what}",
            subject=f"dataset:{dataset.name}",
            actor=caller,
            data={"classification": dataset.classification, "entity": dataset.entity, **data},
        )


def _seen(row: DatasetColumn) -> str:
    """Return the class that a column is taken for: the higher of what was confirmed and what was found since."""
    return highest([row.classification, *([row.proposed] if row.proposed else [])])


def _basis(dataset: Dataset, columns: Sequence[DatasetColumn]) -> str | None:
    deciding = [row for row in columns if _seen(row) == dataset.classification]
    if not deciding:
        return f"declared by {dataset.declared_by}" if dataset.declared else None
    # A person's word says more than a scan's.
    row = min(deciding, key=lambda each: (each.basis != Basis.CONFIRMED or each.proposed is not None, each.name))
    if row.basis == Basis.CONFIRMED and row.proposed is None:
        return f"column {row.name}, confirmed by {row.decided_by}"
    return f"column {row.name}, found by a scan"
