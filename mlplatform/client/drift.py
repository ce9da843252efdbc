"""Drift reports and labels in the platform's API."""

from collections.abc import Sequence

from mlplatform.client.calls import Calls, Json, path_part
from mlplatform.client.transport import PREFIX


class DriftCalls(Calls):
    """The calls for asking for reports, and for sending the truth."""

    def ask_drift_report(self, model: str, environment: str) -> Json:
        """Have what came since the last report judged."""
        return self._post(f"/drift/models/{path_part(model)}/reports", {"environment": environment})

    def drift_report(self, identifier: str) -> Json:
        """Return a report with every test."""
        return self._get(f"/drift/reports/{path_part(identifier)}")

    def drift_page(self, identifier: str) -> str:
        """Return a report as a page."""
        return self._transport.send("GET", f"{PREFIX}/drift/reports/{path_part(identifier)}/html").text

    def send_labels(self, model: str, environment: str, labels: Sequence[Json]) -> Json:
        """Say what would have been right."""
        body = {"environment": environment, "labels": list(labels)}
        return self._post(f"/drift/models/{path_part(model)}/labels", body)
