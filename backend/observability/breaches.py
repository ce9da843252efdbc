"""Going back by itself: a version that burns an error budget fast soon after it was promoted is taken back."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend.observability.burn import ratio_of
from backend.observability.evaluation import Evaluation
from backend.observability.slos import Alert
from mlplatform.spec.model import ModelSpec

if TYPE_CHECKING:
    from backend.core.container import Services

FAST = "fast"
LEAST_EVENTS = 20
"""With fewer bad events than this, a version is not taken back by itself."""

_log = logging.getLogger(__name__)


class Breaches:
    """See the module's docstring."""

    def __init__(self, services: "Services", evaluation: Evaluation) -> None:
        self._services, self._evaluation = services, evaluation

    def act(self, alerts: Sequence[Alert], at: float) -> None:
        """Take back what alerts say that it has to be, as far as policy and ``model.yaml`` allow it."""
        for alert in alerts:
            if alert.burn == FAST and not alert.ended and (reason := self._reason(alert, at)) is not None:
                self._take_back(alert, reason)

    def _reason(self, alert: Alert, at: float) -> str | None:
        """Say why a version is to be taken back; ``None`` if it is not, or if it is not its own doing."""
        key = alert.key
        environment = self._services.settings.environments.get(key.environment)
        if environment is None or not environment.policy.rollback_on_breach:
            return None
        with self._services.database.read() as session:
            promoted = self._services.deployments.warm_since(session, key.environment, key.model, key.version)
            if promoted is None:
                return None
            document = self._services.registry.get_version(session, key.model, key.version).spec
            spec = ModelSpec.model_validate(document)
            if not spec.rollout.rollback_on_breach:
                return None
            counts = self._evaluation.counts(session, key, spec, alert.objective, at, alone=True)
        own = counts.since(promoted.timestamp())
        if own.bad.sum() < (1 if alert.objective.by_moment else LEAST_EVENTS):
            return None
        # The windows of the alert may hold what the version before it did, or what an outage of all of them did.
        for pair in alert.objective.burns:
            ratio = ratio_of(own, at, pair.short)
            if pair.name == FAST and ratio is not None and ratio >= alert.objective.limit(pair):
                return (
                    f"{alert.objective.name}: {100 * ratio:.3g} % bad since it was promoted at {promoted:%H:%M:%S} UTC, "
                    f"which burns the error budget {ratio / alert.objective.budget:.3g} times as fast as it may"
                )
        return None

    def _take_back(self, alert: Alert, reason: str) -> None:
        key = alert.key
        with self._services.database.write() as session:
            deployment = self._services.deployments.interventions.take_back(
                session, key.environment, key.model, key.version, reason
            )
            if deployment is None:
                return
            said = f"v{key.version} was taken back to v{deployment.version}: {reason}"
            self._services.incidents.happened(session, key.model, key.environment, "rolled_back", said)
        _log.warning("%s: %s", key, reason, extra={"deployment": deployment.id})
        self._services.runtime.wake()
