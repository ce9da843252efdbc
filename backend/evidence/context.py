"""Which events from before a period belong into its pack: who made and checked what was live or deployed in it."""

from collections.abc import Collection, Iterator
from typing import Any

import orjson

from backend.audit import reading
from backend.audit.sealed import SealedSegments
from backend.core.database import Database

_ROOM = "ml-platform.deployments"
_REGISTERED = "ml-platform.registry.version.registered"
_ATTESTED = "ml-platform.attestations.attestation.recorded"
_LIVE = (f"{_ROOM}.rollout.promoted", f"{_ROOM}.rollout.rolled_back")
_TURNS = (
    *_LIVE,
    *(f"{_ROOM}.deployment.{one}" for one in ("requested", "approved", "rejected", "broke_glass", "aborted")),
    f"{_ROOM}.rollout.failed",
    f"{_ROOM}.rollout.finished",
)


class Context:
    """Looks at a span's deployments first, then for what they need from before it."""

    def __init__(self, database: Database, sealed: SealedSegments, span: reading.Span) -> None:
        self._database, self._sealed, self._span = database, sealed, span
        self._found: dict[int, str] = {}
        self._versions: set[tuple[str, str]] = set()

    def events(self) -> list[tuple[int, str]]:
        """Return numbers and texts, in order."""
        begun: set[tuple[str, str]] = set()
        requested: set[str] = set()
        registered: set[tuple[str, str]] = set()
        turns = (*_TURNS, _REGISTERED)
        for text in reading.of_types(self._database, self._sealed, turns, self._span.first, self._span.last):
            event = orjson.loads(text)
            data = event["data"]
            if event["type"] == _REGISTERED:
                model, _, version = str(event["subject"]).removeprefix("model:").partition("/versions/")
                registered.add((model, version))
                continue
            id, model = str(data.get("deployment")), str(data.get("model"))
            self._versions.add((model, str(data.get("version"))))
            if event["type"].endswith("deployment.requested"):
                requested.add(id)
            elif id not in requested:
                begun.add((model, id))
        self._keep({f"model:{model}/deployments/{id}" for model, id in [*begun, *self._live()]})
        self._add_versions(self._versions - registered)
        return sorted(self._found.items())

    def _live(self) -> Iterator[tuple[str, str]]:
        """Yield model and deployment of what was live when the period began."""
        live: dict[tuple[str, str], tuple[str, str, str]] = {}
        for text in reading.of_types(self._database, self._sealed, _LIVE, 1, self._span.first - 1):
            data = orjson.loads(text)["data"]
            if data.get("outcome") == "promoted":
                place = (str(data.get("environment")), str(data.get("model")))
                live[place] = (place[1], str(data.get("deployment")), str(data.get("version")))
        for model, id, version in live.values():
            self._versions.add((model, version))
            yield model, id

    def _add_versions(self, versions: set[tuple[str, str]]) -> None:
        digests: dict[str, set[str]] = {}
        for event in self._keep({f"model:{model}/versions/{version}" for model, version in versions}, _REGISTERED):
            model = str(event["subject"]).partition("/versions/")[0]
            digests.setdefault(model, set()).add(str(event["data"].get("digest")))
        for seq, text in self._about(digests, _ATTESTED):
            event = orjson.loads(text)
            if str(event["data"].get("digest")) in digests[event["subject"]]:
                self._found[seq] = text

    def _keep(self, subjects: Collection[str], *types: str) -> list[dict[str, Any]]:
        found = self._about(subjects, *types)
        self._found.update(found)
        return [orjson.loads(text) for _, text in found]

    def _about(self, subjects: Collection[str], *types: str) -> list[tuple[int, str]]:
        if not subjects:
            return []
        with self._database.read() as session:
            return reading.about(session, self._sealed, subjects, types, self._span.first)
