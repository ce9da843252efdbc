"""What a gate gets to look at: the repository, what training left behind, and the champion if there is one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.spec.model import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

NO_CHAMPION = "no champion yet"
"""The value of :attr:`GateContext.champion_unavailable` when the platform was asked and has no champion."""


@dataclass(frozen=True)
class ChampionArtefact:
    """The model that new versions are held against, fetched from the registry."""

    path: Path
    """Its MLflow model folder."""
    version: int
    digest: str | None = None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class GateContext:
    """One run of the gates in a model repository."""

    spec: ModelSpec
    repository: Path
    build: Path
    load: Callable[[str], "pd.DataFrame"]
    """Data set name to its rows, through the repository's own loader."""
    champion: ChampionArtefact | None = None
    champion_unavailable: str | None = None
    """Why there is no champion: :data:`NO_CHAMPION`, or why the platform could not be asked."""
    clock: Callable[[], datetime] = field(default=_now)

    @property
    def model(self) -> Path:
        """The MLflow model that training saved."""
        return self.build / "model"
