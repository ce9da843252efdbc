"""The fleet in the platform's API."""

from mlplatform.client.calls import Calls, Json, json_list, path_part
from mlplatform.client.transport import PREFIX


class FleetCalls(Calls):
    """The calls for seeing repositories and bringing them to a later template version."""

    def refresh_fleet(self) -> Json:
        """Have all repositories looked at; returns the pass."""
        return self._post("/fleet/inventories", {})

    def fleet_inventory(self, identifier: str) -> Json:
        """Return a pass over all repositories."""
        return self._get(f"/fleet/inventories/{path_part(identifier)}")

    def fleet_summary(self) -> list[Json]:
        """Return, by owner and template, how many repositories there are and how many are behind."""
        return json_list(self._transport.send("GET", f"{PREFIX}/fleet/summary"))

    def figures(self, days: int) -> list[Json]:
        """Return the figures that the platform is held to, of the last days."""
        query = {"days": days}
        return json_list(self._transport.send("GET", f"{PREFIX}/overview/figures", lambda: {"params": query}))

    def figure(self, name: str, days: int) -> Json:
        """Return a figure with its trend and the events behind it."""
        return self._get(f"/overview/figures/{path_part(name)}", {"days": days})

    def plan_campaign(self, wish: Json) -> list[Json]:
        """Return the repositories that a campaign would be about."""
        return json_list(self._transport.send("POST", f"{PREFIX}/fleet/campaigns/plan", lambda: {"json": wish}))

    def start_campaign(self, wish: Json) -> Json:
        """Start a campaign."""
        return self._post("/fleet/campaigns", wish)

    def campaign(self, identifier: str) -> Json:
        """Return a campaign and how far it is."""
        return self._get(f"/fleet/campaigns/{path_part(identifier)}")

    def decide_campaign(
        self, identifier: str, decision: str, *, reason: str | None = None, keep_requests: bool = False
    ) -> Json:
        """Pause, resume, advance, retry or abort a campaign."""
        body = {"decision": decision, "reason": reason, "keepRequests": keep_requests}
        return self._post(f"/fleet/campaigns/{path_part(identifier)}/decision", body)
