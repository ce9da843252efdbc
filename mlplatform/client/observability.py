"""Objectives and incidents in the platform's API."""

from collections.abc import Iterator

from mlplatform.client.calls import Calls, Json, path_part
from mlplatform.client.transport import PREFIX


class ObservabilityCalls(Calls):
    """The calls for reading error budgets, and for handling incidents."""

    def slos(self, model: str) -> Json:
        """Return how the objectives of a model stand."""
        return self._get(f"/observability/models/{path_part(model)}/slos")

    def traffic(self, model: str, **query: str | None) -> Json:
        """Return what the versions of a model did over time."""
        return self._get(f"/observability/models/{path_part(model)}/series", query)

    def dashboards(self) -> Iterator[Json]:
        """Yield every dashboard that can be had: its kind and name."""
        cursor = None
        while True:
            page = self._get("/dashboards", {"limit": 500, "cursor": cursor})
            yield from page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def dashboard(self, kind: str, name: str, output: str) -> Json:
        """Return a dashboard for ``grafana`` or ``datadog``."""
        return self._get(f"/dashboards/{path_part(kind)}/{path_part(name)}", {"output": output})

    def incident(self, identifier: str) -> Json:
        """Return an incident with its timeline."""
        return self._get(f"/observability/incidents/{path_part(identifier)}")

    def acknowledge_incident(self, identifier: str, comment: str) -> Json:
        """Say that an incident is in hand."""
        return self._post(f"/observability/incidents/{path_part(identifier)}/acknowledgement", {"comment": comment})

    def resolve_incident(self, identifier: str, cause: str, resolution: str) -> Json:
        """Say what an incident was, and that it is over."""
        body = {"cause": cause, "resolution": resolution}
        return self._post(f"/observability/incidents/{path_part(identifier)}/resolution", body)

    def postmortem(self, identifier: str) -> str:
        """Return the postmortem of an incident as Markdown, to be filled in."""
        path = f"{PREFIX}/observability/incidents/{path_part(identifier)}/postmortem"
        return self._transport.send("GET", path).text
