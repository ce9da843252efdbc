"""The one error of this package: an attestation that does not count, and why."""

from typing import Literal

Code = Literal["malformed", "unknown_key", "bad_signature", "wrong_payload_type", "wrong_subject", "unknown_predicate"]
"""Stable names of what can be wrong; the backend's problem documents and audit events carry them."""


class AttestationInvalid(Exception):
    """An envelope or statement that must not count as evidence."""

    def __init__(self, reason: str, *, code: Code = "malformed") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code: Code = code
