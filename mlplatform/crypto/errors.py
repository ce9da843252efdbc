"""What can go wrong with keys and ciphertexts; each error names the key and what to do."""


class CryptoError(Exception):
    """Base of all errors here; ``fix`` says what to do about it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


class KeyUnavailable(CryptoError):
    """The key-encryption key is not to be had now: a service does not answer, or a file can't be used."""


class WrongKey(CryptoError):
    """What was wrapped is not of this key, or of none that is configured."""


class CiphertextInvalid(CryptoError):
    """A ciphertext was changed, cut off, or belongs to another use than the one it is opened for."""
