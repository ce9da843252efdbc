"""Requests to the platform team, and the survey, in the platform's API."""

from mlplatform.client.calls import Calls, Json, path_part


class SupportCalls(Calls):
    """Calls to ``/support``."""

    def ask_support(self, priority: str, title: str, text: str, entity: str | None) -> Json:
        """Ask the platform team."""
        body = {"priority": priority, "title": title, "text": text, "entityRef": entity}
        return self._post("/support/requests", body)

    def support_request(self, identifier: str) -> Json:
        """Return a request with what was said about it."""
        return self._get(f"/support/requests/{path_part(identifier)}")

    def say_to_support(self, identifier: str, kind: str, text: str) -> Json:
        """Add to a request: ``answers``, ``notes`` or ``resolution``."""
        return self._post(f"/support/requests/{path_part(identifier)}/{kind}", {"text": text})

    def survey(self) -> Json:
        """Return this quarter's survey, with the caller's answer."""
        return self._get("/support/survey")

    def survey_of(self, quarter: str) -> Json:
        """Return what people said in a quarter."""
        return self._get(f"/support/survey/{path_part(quarter)}")

    def answer_survey(self, ratings: dict[str, int], comment: str) -> Json:
        """Answer this quarter's survey."""
        return self._post("/support/survey", {"ratings": ratings, "comment": comment})
