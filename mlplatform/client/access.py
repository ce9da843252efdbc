"""Access in the platform's API: decisions, grants, reviews."""

from mlplatform.client.calls import Calls, Json, path_part


class AccessCalls(Calls):
    """The calls for asking who may do what, and for changing it for a time."""

    def may(self, action: str, resource: str, purpose: str | None, environment: str | None) -> Json:
        """Return whether the caller may do something, and by which rule; the question is put on record."""
        body = {"action": action, "resource": resource, "purpose": purpose, "environment": environment}
        return self._post("/access/decisions", body)

    def access_policies(self, digest: str | None = None) -> Json:
        """Return the policies that hold, or those that held."""
        return self._get("/access/policies" + (f"/{path_part(digest)}" if digest else ""))

    def request_access(self, wish: Json) -> Json:
        """Ask for access."""
        return self._post("/access/grants", wish)

    def break_glass(self, wish: Json) -> Json:
        """Take access in an emergency."""
        return self._post("/access/break-glass", wish)

    def decide_grant(self, identifier: str, decision: str, **body: str | bool) -> Json:
        """Approve, deny, revoke a grant, or look at a use of break-glass."""
        return self._post(f"/access/grants/{path_part(identifier)}/{decision}", body)

    def open_access_review(self, name: str) -> Json:
        """Open an access review."""
        return self._post("/access/reviews", {"name": name})

    def access_review(self, identifier: str) -> Json:
        """Return an access review."""
        return self._get(f"/access/reviews/{path_part(identifier)}")

    def access_review_result(self, identifier: str) -> Json:
        """Return the signed result of an access review."""
        return self._get(f"/access/reviews/{path_part(identifier)}/result")

    def close_access_review(self, identifier: str, reason: str, *, expire_pending: bool) -> Json:
        """Close an access review."""
        body = {"reason": reason, "expirePending": expire_pending}
        return self._post(f"/access/reviews/{path_part(identifier)}/close", body)

    def decide_review_item(self, identifier: str, decision: str, comment: str) -> Json:
        """Confirm or revoke a permission."""
        return self._post(f"/access/review-items/{path_part(identifier)}/{decision}", {"comment": comment})

    def separation_of_duties(self, since: str, until: str) -> Json:
        """Return who did alone what takes two, in a period."""
        return self._get("/access/separation-of-duties", {"from": since, "to": until})
