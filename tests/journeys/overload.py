"""A model that breaks its promise of latency when a test says so."""

import re
from collections.abc import Callable
from pathlib import Path

from demo import repository

_SLOW_LOOKUP = '''"""The model, with each row looked up in the enrichment service first."""

import time
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline


class EnrichedPipeline(Pipeline):  # type: ignore[misc]
    """Waits for the enrichment service before it predicts."""

    def predict(self, rows: pd.DataFrame, **parameters: Any) -> Any:
        """Return the prediction for each row."""
        if Path("{overloaded}").exists():
            time.sleep(1.5)
        return super().predict(rows, **parameters)
'''


def urgent(folder: Path) -> None:
    """Have a model wake somebody, and roll out in one step."""
    text = (folder / "model.yaml").read_text(encoding="utf-8")
    # With a second instead of half of one, a machine that has much to do breaks no promise.
    changes = (
        (r"^tier: \d", "tier: 1"),
        (r"^  steps: .*$", "  steps: [100]"),
        (r"(indicator: latency, .*)threshold: 0.5s", r"\1threshold: 1s"),
    )
    for pattern, other in changes:
        text, found = re.subn(pattern, other, text, flags=re.MULTILINE)
        assert found == 1, pattern
    (folder / "model.yaml").write_text(text, encoding="utf-8")


def enriched(overloaded: Path) -> Callable[[Path], None]:
    """Return the edit by which the model asks a service that is slow as long as the file is there."""

    def edit(folder: Path) -> None:
        repository.broken_version(folder)
        (module,) = folder.glob("src/*/enrichment.py")
        module.write_text(_SLOW_LOOKUP.replace("{overloaded}", str(overloaded)), encoding="utf-8")

    return edit
