"""The observability domain's background work: watching, which begins anew at every look."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.workflows import Steps
from backend.deployments.targets.base import TargetUnavailable
from backend.observability.breaches import Breaches
from backend.observability.evaluation import Evaluation
from backend.observability.suspects import SETTINGS_CHANGED

if TYPE_CHECKING:
    from backend.core.container import Services

_LOOK = 0.2
_log = logging.getLogger(__name__)


class Watch:
    """Samples and judges in a thread of its own: Prometheus may be slow, and rollouts must not wait for it.

    It is a :class:`~backend.core.workflows.Work` without rows, by which it learns whether this process is the one that works.
    Nothing hangs on one look: the next one finds the same counters and the same standings.
    """

    name: ClassVar[str] = "observability-watch"
    most: ClassVar[int | None] = None

    def __init__(self, services: "Services", evaluation: Evaluation | None = None) -> None:
        self._services = services
        self.evaluation = evaluation or Evaluation(services)
        self._breaches = Breaches(services, self.evaluation)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """There are no rows."""
        return ()

    def run(self, steps: Steps, id: str) -> None:
        """There are no rows."""

    def give_up(self, id: str, reason: str) -> None:
        """There are no rows."""

    def beat(self, *, changed: bool) -> None:
        """See to it that the thread runs."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self.evaluation.forget()
            self._thread = threading.Thread(target=self._watch, name="observability-watch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, and write what it has sampled."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=15)
            self._thread = None
        self.evaluation.close()

    def look(self, at: float) -> None:
        """Sample once, and judge."""
        self.sample(at)
        self.evaluate(at)

    def sample(self, at: float) -> None:
        """Read all counters once; while the target does not answer there is a gap."""
        try:
            samples = self._services.engine.target.sample()
        except TargetUnavailable:
            samples = {}
        self.evaluation.sample([samples[key] for key in sorted(samples)], at)

    def evaluate(self, at: float) -> None:
        """Write what was sampled, judge all objectives, and do what follows from it."""
        self.evaluation.flush(at)
        alerts = self.evaluation.evaluate(at)
        self._breaches.act(alerts, at)
        with self._services.database.write() as session:
            self._services.incidents.sweep(session)
        self._services.runtime.wake()

    def _watch(self) -> None:
        settings = self._services.settings.observability
        self._quietly("noting the settings", self._note_settings)
        due = {self.sample: 0.0, self.evaluate: 0.0}
        spacing = {
            self.sample: settings.sample_interval.total_seconds(),
            self.evaluate: settings.evaluate_interval.total_seconds(),
        }
        while not self._stopping.wait(_LOOK) and self._services.runtime.leading:
            for work, at in due.items():
                if time.monotonic() >= at and self._services.runtime.leading:
                    due[work] = time.monotonic() + spacing[work]
                    self._quietly(work.__name__, lambda work=work: work(self._now()))  # type: ignore[misc]
        if self.evaluation.sampled:
            self._quietly("writing the last samples", lambda: self.evaluation.flush(self._now()))

    def _now(self) -> float:
        return self._services.clock.now().timestamp()

    def _note_settings(self) -> None:
        """Record when the settings are other than they were: what is looked at after an incident."""
        document = self._services.settings.model_dump(mode="json")
        digests = {
            name: hashlib.sha256(json.dumps(section, sort_keys=True).encode()).hexdigest()[:16]
            for name, section in document.items()
        }
        with self._services.database.write() as session:
            before = self._services.audit.newest(session, SETTINGS_CHANGED)
            known = {} if before is None else before.data["digests"]
            sections = sorted(name for name, digest in digests.items() if known.get(name) != digest)
            if sections:
                self._services.audit.append(
                    session,
                    type=SETTINGS_CHANGED,
                    subject="settings",
                    actor=PLATFORM,
                    data={"sections": sections if known else [], "digests": digests},
                )

    def _quietly(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except OperationalError as error:
            _log.warning("the database does not answer: %s", error.orig)
        except Exception:
            _log.exception("%s failed; the next look tries again", what)
