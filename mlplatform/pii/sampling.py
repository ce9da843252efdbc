"""Which rows are looked at, and what that says about the rest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.95


class Rows:
    """Some rows of a table: all, or as many as asked for, each as likely as any other."""

    def __init__(self, positions: "np.ndarray[Any, Any] | None", first: int = 0) -> None:
        self._positions = positions
        self._first = first

    def needed(self, start: int, rows: int) -> bool:
        """Say whether any of these rows is among them."""
        if self._positions is None:
            return start + rows > self._first
        return bool(len(self._within(start, rows)))

    def of(self, start: int, rows: int) -> "np.ndarray[Any, Any]":
        """Return which of these rows are among them, counted from ``start``."""
        import numpy as np

        if self._positions is None:
            return np.arange(max(self._first - start, 0), rows)
        return self._within(start, rows) - start

    def _within(self, start: int, rows: int) -> "np.ndarray[Any, Any]":
        import numpy as np

        assert self._positions is not None
        low, high = np.searchsorted(self._positions, [start, start + rows])
        return self._positions[low:high]


def sampled(rows: int, sample: int, seed: int) -> Rows:
    """Return so many rows of a table, drawn without replacement; the same seed draws the same."""
    import numpy as np

    if rows <= sample:
        return Rows(None)
    chosen = np.random.default_rng(seed).choice(rows, size=sample, replace=False, shuffle=False)
    return Rows(np.sort(chosen))


@dataclass(frozen=True)
class Share:
    """Between what bounds the share of rows that hold something lies, at :data:`LEVEL`."""

    low: float
    high: float


def share(count: int, looked_at: int, rows: int) -> Share:
    """Return the exact (Clopper-Pearson) bounds for a share, of which so many rows were seen to hold it.

    With none seen it is the one-sided bound that 95 of 100 such samples keep. Where all rows were looked at it is the share
    itself. For samples without replacement these bounds err on the safe side.
    """
    from scipy.stats import beta

    if looked_at >= rows or not looked_at:
        exact = count / rows if rows else 0.0
        return Share(exact, exact) if looked_at or not rows else Share(0.0, 1.0)
    if count == 0:
        return Share(0.0, 1 - (1 - LEVEL) ** (1 / looked_at))
    rest = (1 - LEVEL) / 2
    low = float(beta.ppf(rest, count, looked_at - count + 1))
    high = 1.0 if count == looked_at else float(beta.ppf(1 - rest, count + 1, looked_at - count))
    return Share(low, high)


def percent(value: float) -> str:
    """Return a share with two digits that count: ``0.06 %``, ``12 %``."""
    if value <= 0 or value >= 0.995:
        return f"{round(100 * value)} %"
    return f"{float(f'{100 * value:.2g}'):g} %"
