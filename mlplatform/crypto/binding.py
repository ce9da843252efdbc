"""What a ciphertext is for, as associated data: one that is moved to another use or subject does not open there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Binding:
    """A use (``payload-sample``, ``token``, ``export``) and whom or what the data is about."""

    purpose: str
    subject: str = ""

    def encoded(self) -> bytes:
        """Return the associated data; the length in front keeps two pairs from having the same text."""
        purpose = self.purpose.encode()
        return b"ml-platform:v1:%d:%b:%b" % (len(purpose), purpose, self.subject.encode())
