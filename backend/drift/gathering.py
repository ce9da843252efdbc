"""What a report is made from: sampled predictions of a server or a consumer, or rows of partitions that runs have replaced."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.drift import repository
from backend.drift.models import DriftReport
from backend.drift.partitions import Wanted, read
from backend.drift.window import PartWindow, Row, asked, drawn, parts_of, told
from mlplatform.spec.model import ModelSpec, ModelType

if TYPE_CHECKING:
    from backend.core.container import Services


@dataclass(frozen=True)
class Window:
    """Parts, those marked with true of rows whose truth is known; and how many rows there are, drawn ones or not."""

    parts: list[tuple[PartWindow, bool]]
    rows: int
    labelled: int
    note: str | None = None
    """What is missing from it, and why."""


class Gathering:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def of(self, session: Session, row: DriftReport, spec: ModelSpec) -> Callable[[], Window]:
        """Return what gathers a report's window; it may take long, and needs the session no more."""
        if spec.type is ModelType.BATCH:
            return self._of_partitions(session, row, spec)
        window = self._of_samples(session, row, spec)
        return lambda: window

    def _of_samples(self, session: Session, row: DriftReport, spec: ModelSpec) -> Window:
        samples = self._services.privacy.samples
        most = self._services.settings.drift.most_rows
        draw = random.Random(row.id)  # noqa: S311 - a report that is made again draws the same rows
        taken = samples.read(session, row.environment, row.model, version=row.version, since=row.since, until=row.until)
        rows, count = drawn((one for sample in taken for one in asked(spec, sample)), most, draw)
        known: list[Row] = []
        for some in repository.truths_received(session, row.model, row.environment, row.labels_since, row.until):
            truths = {one.prediction: one.value for one in some}
            for sample in samples.of(session, row.environment, row.model, truths, version=row.version):
                known += told(spec, sample, truths[sample.id])
        labelled, labelled_count = drawn(known, most, draw)
        return _window(spec, rows, count, labelled, labelled_count)

    def _of_partitions(self, session: Session, row: DriftReport, spec: ModelSpec) -> Callable[[], Window]:
        settings = self._services.settings
        truths: dict[date, dict[str, list[Any]]] = defaultdict(dict)
        for some in repository.truths_received(session, row.model, row.environment, row.labels_since, row.until):
            for one in some:
                if one.day is not None:
                    truths[one.day][one.prediction] = one.value
        wanted = Wanted(
            lake=settings.lake_of(row.environment),
            environment=row.environment,
            version=row.version,
            spec=spec.model_dump(mode="json", by_alias=True),
            days=self._services.batch.replaced(session, row.environment, row.model, row.version, row.since, row.until),
            truths=truths,
            most=settings.drift.most_rows,
            seed=row.id,
            variables=settings.environments[row.environment].lake_variables,
        )

        def gather() -> Window:
            if not wanted.days and not wanted.truths:
                return _window(spec, [], 0, [], 0)
            found = read(wanted)
            note = None
            if found.left_out:
                days = ", ".join(map(str, found.left_out[:5])) + (" and others" if len(found.left_out) > 5 else "")
                note = f"left out was {days}: scored by another version or from another input since"
            return _window(spec, found.rows, found.count, found.labelled, found.labelled_count, note)

        return gather


def _window(
    spec: ModelSpec,
    rows: Sequence[Row],
    count: int,
    labelled: Sequence[Row],
    labelled_count: int,
    note: str | None = None,
) -> Window:
    parts = [(one, False) for one in parts_of(spec, rows)]
    parts += [(one, True) for one in parts_of(spec, labelled)]
    return Window(parts, count, labelled_count, note)
