"""Scaffolds, templates and pull requests of the platform's API."""

import json
from collections.abc import Iterator

import httpx

from mlplatform.client.calls import Calls, Json, json_list, json_object, path_part, present
from mlplatform.client.transport import PREFIX

_TEMPLATE_TIMEOUT = httpx.Timeout(300.0, connect=5.0)
"""Fetching a template and rendering it may take minutes before the platform can tell whether the answers are right."""


class ScaffoldCalls(Calls):
    """The calls for making repositories and looking after them."""

    def scaffold(self, wish: Json) -> Json:
        """Ask for a repository to be made."""
        return self._post("/scaffolds", wish, timeout=_TEMPLATE_TIMEOUT)

    def scaffold_state(self, identifier: str) -> Json:
        """Return a scaffold with its progress."""
        return self._get(f"/scaffolds/{path_part(identifier)}")

    def cancel_scaffold(self, identifier: str) -> Json:
        """Stop a scaffold; what was made is taken back."""
        return self._post(f"/scaffolds/{path_part(identifier)}/cancel", {})

    def scaffold_events(self, identifier: str, *, after: int = 0) -> Iterator[tuple[str, Json]]:
        """Yield a scaffold's progress as it comes: ``progress`` with each step, and ``end`` with the whole scaffold.

        It ends early when the connection does; ask again with ``after``, the number of the last step seen.
        """
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(after)} if after else {})}
        arguments = {"headers": headers, "timeout": httpx.Timeout(60.0, connect=5.0)}
        path = f"{PREFIX}/scaffolds/{path_part(identifier)}/events"
        with self._transport.stream("GET", path, lambda: arguments) as response:
            yield from server_sent_events(response.iter_lines())

    def scaffold_questions(self, template: str) -> Json:
        """Return a template's questions as pages of JSON Schema."""
        arguments = {"params": {"template": template}, "timeout": _TEMPLATE_TIMEOUT}
        return json_object(self._transport.send("GET", f"{PREFIX}/scaffolds/questions", lambda: arguments))

    def templates(self) -> list[Json]:
        """Return the templates that repositories can be made from."""
        return json_list(self._transport.send("GET", f"{PREFIX}/templates"))

    def template_changes(self, template: str, older: str, newer: str | None) -> list[Json]:
        """Return what a template's versions change."""
        query = present({"from": older, "to": newer})
        path = f"{PREFIX}/templates/{path_part(template)}/changelog"
        return json_list(self._transport.send("GET", path, lambda: {"params": query}))

    def pull_requests(self, host: str, org: str, name: str) -> list[Json]:
        """Return a repository's pull requests on an embedded git host, newest first."""
        return json_list(self._transport.send("GET", PREFIX + _pulls(host, org, name)))

    def pull_request(self, host: str, org: str, name: str, number: int) -> Json:
        """Return one of them."""
        return self._get(f"{_pulls(host, org, name)}/{number}")

    def open_pull_request(self, host: str, org: str, name: str, new: Json) -> Json:
        """Open one from a branch that was pushed."""
        return self._post(_pulls(host, org, name), new)

    def decide_pull_request(self, host: str, org: str, name: str, number: int, decision: str) -> Json:
        """Merge (``merge``) or close (``close``) one, or mark a draft as ``ready``."""
        return self._post(f"{_pulls(host, org, name)}/{number}/decision", {"decision": decision})


def _pulls(host: str, org: str, name: str) -> str:
    return f"/git/{path_part(host)}/{path_part(org)}/{path_part(name)}/pull-requests"


def server_sent_events(lines: Iterator[str]) -> Iterator[tuple[str, Json]]:
    """Yield name and data of each event of a stream, whose data is JSON.

    See https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    name, data = "message", ""
    for line in lines:
        if not line:
            if data:
                yield name, json.loads(data)
            name, data = "message", ""
        elif line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data += ("\n" if data else "") + line.removeprefix("data:").removeprefix(" ")
