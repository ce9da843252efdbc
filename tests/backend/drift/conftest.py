"""A platform with a live model that has a training reference, and what is asked of it."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from backend.core.container import Services
from backend.core.ids import new_id
from backend.drift.child import Judged
from backend.drift.judging import judge
from backend.drift.window import PartWindow
from backend.observability.work import Watch
from backend.privacy.samples import Sample
from mlplatform.reference.profile import Reference
from tests.backend.conftest import SPEC, Backend, Someone
from tests.backend.privacy.conftest import House, privacy_settings
from tests.backend.versions import put_version
from tests.conftest import SetClock

SLOS = [
    {"name": "like-training", "indicator": "drift", "objective": 90},
    {"name": "right", "indicator": "quality", "objective": 90},
]
SLICE = {"metric": "accuracy_score", "minimum": 0.1, "slice": {"column": "hue", "minimum": 1}}


class Still(Watch):
    """A watch that looks when a test says so."""

    def beat(self, *, changed: bool) -> None:
        """Do nothing."""


def in_this_process(reference: Reference, windows: Sequence[tuple[PartWindow, bool]], alpha: float) -> Judged:
    return Judged(judge(reference, windows, alpha).as_json(), {})


def training_data(rows: int = 2000) -> pd.DataFrame:
    draw = random.Random(1)
    frame = pd.DataFrame({"alcohol": [draw.gauss(13, 1) for _ in range(rows)]})
    frame["hue"] = [draw.uniform(0.5, 1.5) for _ in range(rows)]
    frame["prediction"] = [int(value > 13) for value in frame["alcohol"]]
    frame["error"] = [draw.random() < 0.1 for _ in range(rows)]
    return frame


@dataclass
class Cellar(House):
    """A house in which wine is judged."""

    draw: random.Random
    backend: Backend
    people: list[Someone]

    def someone(self, name: str) -> Someone:
        """Somebody whose token is a new one whenever time has passed."""
        self.people.append(self.backend.someone(name))
        return self.people[-1]

    def move(self, **span: float) -> None:
        self.clock.move(**span)
        for one in self.people:
            one.token = self.backend.someone(one.ref.rpartition("/")[2]).token

    def add(self, folder: Path, number: int, *, reference: bool = True, **changes: Any) -> None:
        """Register a version, with the reference as registration would keep it."""
        document = json.loads(json.dumps({**SPEC, "serving": {"samples": {"rate": 1}}, "slos": SLOS, **changes}))
        document["validation"]["thresholds"].append(SLICE)
        model = folder / f"model-{number}"
        model.mkdir(exist_ok=True)
        (model / "MLmodel").write_text(f"flavors: {number}")
        put_version(self.services, number, document, model, training_data() if reference else None)

    def serve(self, count: int, *, alcohol: float = 13, version: int = 1, at: datetime | None = None) -> list[str]:
        """Answer requests of one row, all of them sampled."""
        samples = []
        for _ in range(count):
            value, hue = self.draw.gauss(alcohol, 1), self.draw.uniform(0.5, 1.5)
            request = {"instances": [{"alcohol": value, "hue": hue}]}
            when = at or self.clock.now()
            samples.append(Sample(new_id(), "lab", "wine", version, when, request, {"predictions": [int(value > 13)]}))
        with self.services.database.write() as session:
            self.services.privacy.samples.add(session, samples)
        return [one.id for one in samples]

    def truths(self, ids: Sequence[str], *, wrong: float = 0.1) -> list[dict[str, Any]]:
        """Labels of predictions, of which a share says that the answer was wrong."""
        found = []
        for id in ids:
            with self.services.database.read() as session:
                (answer,) = self.services.privacy.samples.get(session, id).answer["predictions"]
            found.append({"id": id, "value": 1 - answer if self.draw.random() < wrong else answer})
        return found

    def a_day_later(self) -> dict[str, Any]:
        """Let a day pass and have the scheduled reports made; return the newest."""
        self.move(days=1)
        work = next(one for one in self.services.runtime._kinds.values() if one.name == "drift-report")
        assert work.begin_due() == 1  # type: ignore[attr-defined]
        return self.make()

    def make(self) -> dict[str, Any]:
        """Make what is put down, by the steps of its workflow."""
        work = next(one for one in self.services.runtime._kinds.values() if one.name == "drift-report")

        class Here:
            def run(self, name: str, step: Any, *arguments: Any) -> Any:
                return step(*arguments)

        with self.services.database.read() as session:
            ids = list(work.waiting(session))
        for id in ids:
            work.run(Here(), id)
        return {"id": ids[-1]} if ids else {}


@pytest.fixture
def cellar(settings: Settings, set_clock: SetClock) -> Iterator[tuple[Cellar, Someone, Someone]]:
    """The app over HTTP without its loops: what is durable is done step by step."""
    set_clock.moment = datetime.now(set_clock.moment.tzinfo)
    settings = privacy_settings(settings.home, settings.database.url)
    app = create_app(settings, clock=set_clock)
    services: Services = app.state.services
    services.runtime.start = lambda: None  # type: ignore[method-assign]
    services.runtime.stop = lambda: None  # type: ignore[method-assign]
    services.watch = Still(services)
    services.watch.evaluation.judgements = services.drift.judgements
    services.drift.judge = in_this_process
    with TestClient(app, raise_server_exceptions=False) as http:
        here = Cellar(services, set_clock, random.Random(4), Backend(http, services), [])
        yield here, here.someone("ada"), here.someone("operator")
