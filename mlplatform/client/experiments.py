"""Experiments in the platform's API."""

from collections.abc import Sequence

from mlplatform.client.calls import Calls, Json, path_part


class ExperimentCalls(Calls):
    """The calls for trying a challenger beside what is live."""

    def start_experiment(self, wish: Json) -> Json:
        """Begin a shadow run or an A/B experiment."""
        return self._post("/experiments", wish)

    def experiment(self, identifier: str) -> Json:
        """Return an experiment with its figures."""
        return self._get(f"/experiments/{path_part(identifier)}")

    def approve_experiment(self, identifier: str, decision: str, comment: str) -> Json:
        """Approve (``approve``) or reject (``reject``) an experiment that waits for it."""
        return self._post(f"/experiments/{path_part(identifier)}/approval", {"decision": decision, "comment": comment})

    def stop_experiment(self, identifier: str, reason: str) -> Json:
        """End an experiment."""
        return self._post(f"/experiments/{path_part(identifier)}/stop", {"reason": reason})

    def report_outcomes(self, identifier: str, outcomes: Sequence[Json]) -> Json:
        """Report what came of predictions; again is the same as once."""
        return self._post(f"/experiments/{path_part(identifier)}/outcomes", {"outcomes": list(outcomes)})

    def decide_experiment(self, identifier: str, decision: str, reason: str) -> Json:
        """Put on record what follows from an experiment: ``promote`` or ``keep``."""
        return self._post(f"/experiments/{path_part(identifier)}/decision", {"decision": decision, "reason": reason})
