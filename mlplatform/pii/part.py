"""What is gathered of some rows before they are read: distinct values by column, and a few whole rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlplatform.pii.adjacent import MAX_CELL, MAX_ROWS
from mlplatform.pii.sources.base import Batch
from mlplatform.pii.values import Values, of_arrow, of_objects

if TYPE_CHECKING:
    import numpy as np

BESIDE = "text beside the rows"


@dataclass
class Part:
    """Some rows of a table."""

    number: int
    rows: int = 0
    values: dict[str, Values] = field(default_factory=dict)
    width: list[str] = field(default_factory=list)
    """The columns that :attr:`together` has, the first ones of the table."""
    together: list[Sequence[object]] = field(default_factory=list)
    """Some rows with all their short cells, to be read across columns."""

    @property
    def empty(self) -> bool:
        """Whether nothing was gathered."""
        return not self.rows and not self.values

    def add(self, batch: Batch, chosen: "np.ndarray[Any, Any]") -> None:
        """Gather the chosen rows of a batch."""
        for text in batch.beside:
            self.values.setdefault(BESIDE, Values()).add(text)
        if not len(chosen):
            return
        self.rows += len(chosen)
        whole = len(chosen) == batch.rows
        taken = {name: column if whole else _take(column, chosen) for name, column in batch.columns.items()}
        for name, column in taken.items():
            values = of_arrow(column) if _is_arrow(column) else of_objects(column)
            self.values.setdefault(name, Values()).merge(values)
        self._add_rows(taken)

    def _add_rows(self, taken: dict[str, Any]) -> None:
        room = MAX_ROWS - len(self.together)
        if not self.together:
            self.width = list(taken)
        if room <= 0 or list(taken) != self.width:
            return
        columns = [_short(column[:room]) for column in taken.values()]
        self.together += list(zip(*columns, strict=True))


def _is_arrow(column: Any) -> bool:
    return hasattr(column, "to_pylist")


def _take(column: Any, chosen: "np.ndarray[Any, Any]") -> Any:
    indices = chosen.tolist()
    if not _is_arrow(column):
        return [column[index] for index in indices]
    import pyarrow as pa

    return column.take(pa.array(indices))


def _short(column: Any) -> list[object]:
    """Return cells as Python objects, long ones left out."""
    values = [_cell(scalar) for scalar in column] if _is_arrow(column) else list(column)
    return [None if isinstance(value, str | bytes | tuple) and len(value) > MAX_CELL else value for value in values]


def _cell(scalar: Any) -> object:
    """Return an Arrow value; text as its bytes, which need not be valid, and without copying what is long."""
    if hasattr(scalar, "dictionary"):
        scalar = scalar.value
    if not hasattr(scalar, "as_buffer"):
        return scalar.as_py()
    content = scalar.as_buffer()
    return content.to_pybytes() if content is not None and content.size <= MAX_CELL else None
