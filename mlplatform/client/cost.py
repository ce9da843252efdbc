"""Calls about what things cost."""

from typing import Any

from mlplatform.client.calls import Calls, Json, path_part, present


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
