"""Tables with a row for each event of a kind."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import ClassVar

from evidence.events import Event, plain
from evidence.tables.base import Row

ATTESTED = "ml-platform.attestations.attestation.recorded"
REGISTERED = "ml-platform.registry.version.registered"
BROKE_GLASS = ".broke_glass"
_COMMON = ("seq", "time", "type", "subject", "actor", "on_behalf_of", "reason", "data")


class _Kind:
    """All events that a rule picks, with everything that they say."""

    header: ClassVar[Row] = _COMMON

    def __init__(self, picks: Callable[[str], bool]) -> None:
        self.wants = picks

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Return the event's row."""
        if context:
            return ()
        rest = {name: value for name, value in event.data.items() if name not in {"onBehalfOf", "reason"}}
        said = (event.text("onBehalfOf"), event.text("reason"), plain(rest) if rest else "")
        return ((str(event.seq), event.time, event.type, event.subject, event.actor, *said),)

    def finish(self) -> Iterable[Row]:
        """Return nothing: each event made its row."""
        return ()


class Access(_Kind):
    """Grants, their ends, access reviews, and the keys that people sign with."""

    name: ClassVar[str] = "access"

    def __init__(self) -> None:
        keys = ("ml-platform.access.", "ml-platform.identity.signing_key.")
        super().__init__(lambda type: type.startswith(keys) and not type.endswith(".refused"))


class BreakGlass(_Kind):
    """Uses of break-glass."""

    name: ClassVar[str] = "break-glass"

    def __init__(self) -> None:
        super().__init__(lambda type: BROKE_GLASS in type or "break_glass" in type)


class Refusals(_Kind):
    """What somebody was refused."""

    name: ClassVar[str] = "refusals"

    def __init__(self) -> None:
        super().__init__(lambda type: type.endswith((".refused", ".denied")))


class Deletions(_Kind):
    """Retention, erasures and their certificates."""

    name: ClassVar[str] = "deletions"

    def __init__(self) -> None:
        super().__init__(lambda type: type.startswith(("ml-platform.privacy.", "ml-platform.retention.")))


class Incidents(_Kind):
    """Incidents: those that somebody opened, and what the platform took back by itself."""

    name: ClassVar[str] = "incidents"

    def __init__(self) -> None:
        taken_back = ("rollout.rolled_back", "rollout.failed", "traffic.failed_over", "traffic.restored")
        ends = tuple(f"ml-platform.deployments.{one}" for one in taken_back)
        super().__init__(lambda type: ".incident." in type or type in ends)


class Changes(_Kind):
    """Change records: pull requests, campaigns and new repositories."""

    name: ClassVar[str] = "changes"

    def __init__(self) -> None:
        rooms = ("ml-platform.scaffolds.", "ml-platform.fleet.", "ml-platform.registry.model.")
        super().__init__(lambda type: type.startswith(rooms) and not type.endswith(".refused"))


class Exports(_Kind):
    """Evidence packs that were asked for, and checkpoints that were published or refused."""

    name: ClassVar[str] = "record"

    def __init__(self) -> None:
        super().__init__(lambda type: type.startswith(("ml-platform.evidence.", "ml-platform.audit.")))


class GateResults:
    """Results of gates, as they were signed and recorded."""

    name: ClassVar[str] = "gate-results"
    header: ClassVar[Row] = (
        "seq", "time", "subject", "digest", "gate", "outcome", "summary", "signer", "key_id", "recorded_by", "on_behalf_of",
        "attestation", "envelope_sha256",
    )  # fmt: skip

    def wants(self, type: str) -> bool:
        """Say whether it is an attestation."""
        return type == ATTESTED

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Return the row of an attestation."""
        if context:
            return ()
        text = event.text
        said = (text("digest"), text("gate"), text("outcome"), text("summary"), text("signer"), text("keyId"))
        ends = (event.actor, text("onBehalfOf"), text("attestation"), text("envelopeDigest"))
        return ((str(event.seq), event.time, event.subject, *said, *ends),)

    def finish(self) -> Iterable[Row]:
        """Return nothing: each event made its row."""
        return ()


class Versions:
    """Versions of models: who made them, from which commit and on what data; those from before that were live in it, too."""

    name: ClassVar[str] = "versions"
    header: ClassVar[Row] = (
        "seq", "time", "model", "version", "digest", "registered_by", "on_behalf_of", "repository", "commit", "dirty",
        "lock_digest", "ci_run", "data",
    )  # fmt: skip

    def wants(self, type: str) -> bool:
        """Say whether it is a registration."""
        return type == REGISTERED

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Return the row of a registration."""
        model, version = named_version(event)
        lineage = event.data.get("lineage")
        said = lineage if isinstance(lineage, dict) else {}
        cells = (said.get("repository"), said.get("commit"), said.get("dirty"), said.get("lockDigest"))
        ends = (plain(event.data.get("run") or said.get("ciRun")), plain(said.get("data")))
        who = (event.actor, event.text("onBehalfOf"))
        start = (str(event.seq), event.time, model, version, event.text("digest"))
        return ((*start, *who, *(plain(one) for one in cells), *ends),)

    def finish(self) -> Iterable[Row]:
        """Return nothing: each event made its row."""
        return ()


class Vulnerabilities:
    """Times to fix: from a version that failed the gate on vulnerabilities to the model's next that passed it."""

    name: ClassVar[str] = "vulnerabilities"
    header: ClassVar[Row] = ("subject", "found", "found_seq", "summary", "fixed", "fixed_seq", "days_to_fix")

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, str, str]] = {}

    def wants(self, type: str) -> bool:
        """Say whether it is an attestation."""
        return type == ATTESTED

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Return the row of a finding that this event ends."""
        if context or event.text("gate") != "vulnerabilities":
            return ()
        if event.text("outcome") == "failed":
            self._open.setdefault(event.subject, (event.time, str(event.seq), event.text("summary")))
        elif event.text("outcome") == "passed" and event.subject in self._open:
            found = self._open.pop(event.subject)
            return ((event.subject, *found, event.time, str(event.seq), _days(found[0], event.time)),)
        return ()

    def finish(self) -> Iterable[Row]:
        """Return what was not fixed in the period."""
        return [(subject, *found, "", "", "") for subject, found in self._open.items()]


def named_version(event: Event) -> tuple[str, str]:
    """Return model and version of a subject such as ``model:wine/versions/3``."""
    model, _, version = event.subject.removeprefix("model:").partition("/versions/")
    return model, version


def _days(since: str, until: str) -> str:
    try:
        span = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    except (ValueError, TypeError):
        return ""
    return f"{span.total_seconds() / 86_400:.2f}"
