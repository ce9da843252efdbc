"""The runtime of durable work: rows that are taken up again and again."""

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from sqlalchemy.orm import Session

from backend.core.config import Settings
from backend.core.database import Database
from backend.core.workflows import Steps, WorkflowRuntime, runtime
from tests.marks import on_one_database
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, on_one_database]


class Thrice:
    """Work on one row, which needs three workflows."""

    name: ClassVar[str] = "thrice"
    most: ClassVar[int | None] = 1

    def __init__(self) -> None:
        self.done = 0

    def waiting(self, session: Session) -> Sequence[str]:
        return ["row"] if self.done < 3 else []

    def run(self, steps: Steps, id: str) -> None:
        steps.run("work", self.work)

    def work(self) -> None:
        self.done += 1

    def give_up(self, id: str, reason: str) -> None:
        raise AssertionError(reason)

    def beat(self, *, changed: bool) -> None: ...

    def close(self) -> None: ...


class NotAtOnce(Thrice):
    """The same, where nothing waits for a moment after each workflow: somebody has to say that it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.said = 0

    def waiting(self, session: Session) -> Sequence[str]:
        if self.said < self.done:
            self.said += 1
            return []
        return super().waiting(session)


@pytest.mark.parametrize("kind", [Thrice, NotAtOnce])
def test_a_row_is_taken_up_again_although_its_workflow_is_written_down_as_running_for_a_while(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: type[Thrice]
) -> None:
    """A workflow's function returns before DBOS has written down that it has: who looks in between must not wait for ever."""
    asked: Counter[str] = Counter()
    real = runtime.DBOS.get_workflow_status

    def late(workflow_id: str) -> Any:
        found = real(workflow_id)
        if found is None or asked[workflow_id] == 2:
            return found
        asked[workflow_id] += 1
        return SimpleNamespace(status="PENDING")

    monkeypatch.setattr(runtime.DBOS, "get_workflow_status", late)
    database = Database(settings.database.url)
    work, running = kind(), WorkflowRuntime(settings, database)
    running.add(work)
    running.start()
    try:
        wait_until(lambda: work.done == 3, 60, lambda: str(work.done))
    finally:
        running.stop()
        database.close()
    assert asked["row"] == asked["row.2"] == 2
