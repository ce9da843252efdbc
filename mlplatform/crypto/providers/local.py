"""A key-encryption key in a file: Tink's JSON keyset, readable by its owner only."""

import contextlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from mlplatform.crypto.errors import KeyUnavailable
from mlplatform.crypto.providers.base import wrong

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SETTING = "mlPlatform.encryption.key"


class LocalKey:
    """A keyset file (https://developers.google.com/tink/design/keysets), made with mode 0600 on first use.

    It holds all keys that it ever had: the newest wraps, all of them unwrap.
    """

    def __init__(self, path: Path, *, name: str = "local") -> None:
        self._path = path
        self.name = name
        self._read: tuple[tuple[int, int], Any] | None = None

    def wrap(self, key: bytes, associated_data: bytes) -> bytes:
        """Encrypt a data key with the newest key."""
        wrapped: bytes = self._primitive().encrypt(key, associated_data)
        return wrapped

    def unwrap(self, wrapped: bytes, associated_data: bytes) -> bytes:
        """Decrypt a data key with whichever key has wrapped it."""
        from tink import TinkError

        try:
            key: bytes = self._primitive().decrypt(wrapped, associated_data)
        except TinkError:
            raise wrong(f"{self.name} ({self._path})", _SETTING) from None
        return key

    def rotate(self) -> None:
        """Add a key that wraps from now on; the older ones still unwrap.

        Raises:
            KeyUnavailable: the file can't be used.
        """
        self._primitive()
        keyset = json.loads(self._path.read_text(encoding="utf-8"))
        taken = {key["keyId"] for key in keyset["key"]}
        while (new := _new_keyset())["primaryKeyId"] in taken:
            pass
        keyset["key"] += new["key"]
        keyset["primaryKeyId"] = new["primaryKeyId"]
        _write(self._path, keyset, replace=True)

    def newest(self) -> int:
        """Return the id of the key that wraps."""
        self._primitive()
        return int(json.loads(self._path.read_text(encoding="utf-8"))["primaryKeyId"])

    def _primitive(self) -> Any:
        if not self._path.exists():
            _write(self._path, _new_keyset(), replace=False)
        status = self._path.stat()
        # Read again when another process has rotated it.
        mark = (status.st_mtime_ns, status.st_ino)
        if self._read is None or self._read[0] != mark:
            if os.name == "posix" and status.st_mode & _OTHERS:
                fix = f"`chmod 600 {self._path}` if you are sure that nobody did, and rotate it"
                raise KeyUnavailable(f"{self._path} ({_SETTING}) may be read by others, so the key may be known", fix)
            self._read = (mark, self._parsed())
        return self._read[1]

    def _parsed(self) -> Any:
        from tink import TinkError, aead, json_proto_keyset_format, secret_key_access

        aead.register()
        try:
            handle = json_proto_keyset_format.parse(self._path.read_text(encoding="utf-8"), secret_key_access.TOKEN)
            return handle.primitive(aead.Aead)
        except (TinkError, ValueError, OSError):
            fix = "Restore it from its backup: without it what it has encrypted can't be read."
            raise KeyUnavailable(f"{self._path} ({_SETTING}) holds no key that can be used", fix) from None


def _new_keyset() -> dict[str, Any]:
    import tink
    from tink import aead, json_proto_keyset_format, secret_key_access

    aead.register()
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    keyset: dict[str, Any] = json.loads(json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    return keyset


def _write(path: Path, keyset: dict[str, Any], *, replace: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mode 0600 from the start
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(keyset, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            Path(name).replace(path)
            return
        # A hard link fails where a rename would replace: the first process's key stays.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
