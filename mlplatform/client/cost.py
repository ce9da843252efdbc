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

    def budgets(self) -> list[Json]:
        """Return all budgets with how they stand this month."""
        return self._list("/cost/budgets")

    def budget(self, kind: str, name: str) -> Json:
        """Return the budget of a ``team`` or a ``model``."""
        return self._get(f"/cost/budgets/{path_part(kind)}/{path_part(name)}")

    def set_budget(self, kind: str, name: str, *, monthly: str, enforce: bool) -> Json:
        """Set what a team or a model may cost in a month."""
        body = {"monthly": monthly, "enforce": enforce}
        return self._put(f"/cost/budgets/{path_part(kind)}/{path_part(name)}", body)

    def quotas(self, **query: Any) -> list[Json]:
        """Return what teams take up of their quotas."""
        return self._list("/quotas", query)

    def cost_report(self, team: str, month: str, format: str) -> bytes:
        """Return a team's month as ``html``, ``pdf`` or ``csv``."""
        path = f"{PREFIX}/cost/reports/{path_part(month)}/{quote(team)}"
        return self._transport.send("GET", path, lambda: {"params": {"format": format}}).content
