"""Calls about what things cost."""

from typing import Any
from urllib.parse import quote

from mlplatform.client.calls import Calls, Json, path_part, present
from mlplatform.client.transport import PREFIX


class CostCalls(Calls):
    """Calls to ``/cost``."""

    def cost_summary(self, **query: Any) -> Json:
        """Return the cost of a month, in parts."""
        return self._get("/cost/summary", present(query))

    def model_cost(self, model: str, **query: Any) -> Json:
        """Return what a model costs."""
        return self._get(f"/cost/models/{path_part(model)}", present(query))

    def cost_recommendations(self, **query: Any) -> Json:
        """Return what could be saved."""
        return self._get("/cost/recommendations", present(query))

    def cost_report(self, team: str, month: str, format: str) -> bytes:
        """Return a team's month as ``html``, ``pdf`` or ``csv``."""
        path = f"{PREFIX}/cost/reports/{path_part(month)}/{quote(team)}"
        return self._transport.send("GET", path, lambda: {"params": {"format": format}}).content
