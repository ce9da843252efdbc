"""All queries on data sets."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.datasets.models import Dataset, DatasetColumn


def find(session: Session, id: str) -> Dataset | None:
    """Return a data set."""
    return session.get(Dataset, id)


def named(session: Session, name: str) -> Dataset | None:
    """Return the data set of an OpenLineage name."""
    return session.execute(select(Dataset).where(Dataset.name == name)).scalar_one_or_none()


def all_named(session: Session, names: Sequence[str]) -> dict[str, Dataset]:
    """Return those of these data sets that are known."""
    found = session.execute(select(Dataset).where(Dataset.name.in_(names))).scalars()
    return {row.name: row for row in found}


def datasets(
    session: Session,
    *,
    owner: str | None,
    classification: str | None,
    entity: str | None,
    after: tuple[str] | None,
    limit: int,
) -> Sequence[Dataset]:
    """Return data sets by name, after one."""
    query = select(Dataset)
    for column, value in (
        (Dataset.owner, owner),
        (Dataset.classification, classification),
        (Dataset.entity, entity),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Dataset.name > after[0])
    return session.execute(query.order_by(Dataset.name).limit(limit)).scalars().all()


def columns(session: Session, dataset_ids: Sequence[str]) -> dict[str, list[DatasetColumn]]:
    """Return the columns of data sets, each by name."""
    found: dict[str, list[DatasetColumn]] = {id: [] for id in dataset_ids}
    query = select(DatasetColumn).where(DatasetColumn.dataset_id.in_(dataset_ids)).order_by(DatasetColumn.name)
    for row in session.execute(query).scalars():
        found[row.dataset_id].append(row)
    return found


def undecided(session: Session) -> Sequence[tuple[Dataset, DatasetColumn]]:
    """Return the columns that wait for a person: proposed and never confirmed, or proposed above what was confirmed."""
    query = (
        select(Dataset, DatasetColumn)
        .join(DatasetColumn, DatasetColumn.dataset_id == Dataset.id)
        .where(DatasetColumn.proposed.is_not(None))
        .order_by(Dataset.name, DatasetColumn.name)
    )
    return [(dataset, column) for dataset, column in session.execute(query)]
