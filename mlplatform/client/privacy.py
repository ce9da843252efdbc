"""Retention, holds, data-subject requests and keys in the platform's API."""

from typing import Any

from mlplatform.client.calls import Calls, Json, json_list, json_object, path_part
from mlplatform.client.transport import PREFIX


class PrivacyCalls(Calls):
    """The calls for keeping, deleting, finding and erasing."""

    def retention_policies(self) -> list[Json]:
        """Return how long each kind of thing is kept."""
        return json_list(self._transport.send("GET", f"{PREFIX}/privacy/retention/policies"))

    def run_retention(self, *, dry_run: bool) -> Json:
        """Have what is over deleted, or only listed."""
        return self._post("/privacy/retention/runs", {"dryRun": dry_run})

    def retention_run(self, identifier: str) -> Json:
        """Return a retention run."""
        return self._get(f"/privacy/retention/runs/{path_part(identifier)}")

    def place_hold(self, subject: str, reason: str) -> Json:
        """Keep something from being deleted."""
        return self._post("/privacy/holds", {"subject": subject, "reason": reason})

    def release_hold(self, identifier: str, reason: str) -> Json:
        """Lift a hold."""
        return self._post(f"/privacy/holds/{path_part(identifier)}/release", {"reason": reason})

    def certificate(self, identifier: str) -> Json:
        """Return a deletion certificate with its envelope."""
        return self._get(f"/privacy/certificates/{path_part(identifier)}")

    def find_subject(self, identifiers: list[str], reason: str) -> Json:
        """Have a person looked for; asked twice it is looked for twice, since nobody remembers for whom."""
        body: dict[str, Any] = {"json": {"identifiers": identifiers, "reason": reason}}
        return json_object(self._transport.send("POST", f"{PREFIX}/privacy/subject-requests", lambda: body))

    def subject_request(self, identifier: str) -> Json:
        """Return a data-subject request."""
        return self._get(f"/privacy/subject-requests/{path_part(identifier)}")

    def erase_subject(self, identifier: str, reason: str) -> Json:
        """Ask for the person of a request to be erased."""
        return self._post(f"/privacy/subject-requests/{path_part(identifier)}/erasure", {"reason": reason})

    def confirm_erasure(self, identifier: str, reason: str) -> Json:
        """Confirm an erasure that somebody else asked for."""
        return self._post(f"/privacy/subject-requests/{path_part(identifier)}/confirmation", {"reason": reason})

    def forget_in_vault(self, identifier: str, vault: str, tokens: int) -> Json:
        """Put on record that a vault is about to forget the person of a request."""
        path = f"/privacy/subject-requests/{path_part(identifier)}/vault-erasures"
        return self._post(path, {"vault": vault, "tokens": tokens})

    def permit_reveal(self, wanted: Json) -> Json:
        """Ask to see what tokens of a vault stand for; it is on record when this returns, and raises when it may not be."""
        return self._post("/privacy/vault-reveals", wanted)

    def rotate_keys(self, reason: str) -> Json:
        """Have everything encrypted anew."""
        return self._post("/privacy/keys/rotations", {"reason": reason})

    def key_rotation(self, identifier: str) -> Json:
        """Return a key rotation."""
        return self._get(f"/privacy/keys/rotations/{path_part(identifier)}")
