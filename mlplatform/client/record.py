"""The audit log and the evidence packs in the platform's API."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import httpx

from mlplatform.client.calls import Calls, Json, json_object, path_part
from mlplatform.client.errors import ClientError
from mlplatform.client.transport import PREFIX

_LONG = httpx.Timeout(600.0, connect=5.0)
_CHUNK = 1 << 20


class RecordCalls(Calls):
    """The calls for reading, proving and exporting what is on record."""

    def audit_events(self, **query: object) -> Json:
        """Return a page of audit events."""
        return self._get("/audit/events", query)

    def audit_verification(self, checkpoints: Sequence[str] = ()) -> Json:
        """Let the platform verify its audit log from the first event on, against earlier checkpoints if there are some."""
        if checkpoints:
            return self._post("/audit/verification", {"checkpoints": list(checkpoints)}, timeout=_LONG)
        return json_object(self._transport.send("GET", f"{PREFIX}/audit/verification", lambda: {"timeout": _LONG}))

    def audit_checkpoint(self, size: int | None = None) -> Json:
        """Return the log's signed checkpoint, as of now or at a size."""
        return self._get("/audit/checkpoint", {"size": size})

    def audit_inclusion(self, seq: int, size: int | None = None) -> Json:
        """Return the proof that an event is in the log."""
        return self._get("/audit/proofs/inclusion", {"seq": seq, "size": size})

    def audit_consistency(self, old: int | None, new: int | None = None) -> Json:
        """Return the proof that the log only grew."""
        return self._get("/audit/proofs/consistency", {"from": old, "to": new})

    def audit_sealing_plan(self) -> Json:
        """Return what would be sealed now."""
        return self._get("/audit/segments/plan")

    def seal_audit(self) -> Json:
        """Have old events sealed; returns the sealing as it is now."""
        return self._post("/audit/sealings", {})

    def audit_sealing(self, identifier: str) -> Json:
        """Return a sealing, as far as it has come."""
        return self._get(f"/audit/sealings/{path_part(identifier)}")

    def export_evidence(self, wish: Json) -> Json:
        """Ask for an evidence pack; returns it as it is now."""
        return self._post("/evidence/packs", wish)

    def evidence_pack(self, identifier: str) -> Json:
        """Return an evidence pack, as far as it is made."""
        return self._get(f"/evidence/packs/{path_part(identifier)}")

    def download_evidence(self, pack: Json, file: Path) -> None:
        """Write the pack's file, which appears under its name only when it is whole.

        Raises:
            ClientError: what came is not what the platform says the file is.
        """
        path = f"{PREFIX}/evidence/packs/{path_part(str(pack['id']))}/content"
        part = file.with_name(file.name + ".part")
        digest = hashlib.sha256()
        try:
            with part.open("wb") as into, self._transport.stream("GET", path, lambda: {"timeout": _LONG}) as response:
                for chunk in response.iter_bytes(_CHUNK):
                    digest.update(chunk)
                    into.write(chunk)
            if digest.hexdigest() != pack["sha256"]:
                raise ClientError("the file was damaged on its way", fix="Run the command again.")
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
