"""A vault of tokens: what stands for which value, encrypted, with everybody who asked for a value on record."""

import base64
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mlplatform.deidentify.faults import DeidentifyFailed
from mlplatform.deidentify.secrets import Key, keyed_digest

_TABLES = """
CREATE TABLE IF NOT EXISTS token (
    token TEXT PRIMARY KEY, domain TEXT NOT NULL, lookup BLOB NOT NULL, sealed BLOB NOT NULL, UNIQUE (domain, lookup)
) STRICT;
CREATE TABLE IF NOT EXISTS access (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, purpose TEXT NOT NULL,
    action TEXT NOT NULL, domain TEXT NOT NULL, tokens INTEGER NOT NULL, found INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS access_stays BEFORE DELETE ON access BEGIN SELECT RAISE(ABORT, 'the record stays'); END;
CREATE TRIGGER IF NOT EXISTS access_as_written BEFORE UPDATE ON access BEGIN SELECT RAISE(ABORT, 'the record stays'); END;
"""

_DATASET = "dataset:"


class Vault(Protocol):
    """Gives tokens for values and, to who says what for, values for tokens."""

    def tokens(self, domain: str, values: Sequence[str]) -> list[str]:
        """Return the values' tokens, always the same in one domain."""

    def reveal(self, domain: str, tokens: Sequence[str], *, who: str, purpose: str) -> list[str | None]:
        """Return the values of tokens, nothing for those that it does not know, and put the access on record first.

        Raises:
            DeidentifyFailed: no purpose is given, or the vault can't be read with this key.
        """

    def forget(self, domain: str, value: str, *, who: str, purpose: str) -> bool:
        """Delete a value for good and say whether it was there; its token stands for nothing from then on."""


@dataclass(frozen=True)
class Home:
    """Where a vault says it belongs: the platform that decides who sees its values, and the data sets that they come from."""

    platform: str | None = None
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Access:
    """One line of the vault's record."""

    at: datetime
    who: str
    purpose: str
    action: str
    domain: str
    tokens: int
    found: int


def _now() -> datetime:
    return datetime.now(UTC)


class EmbeddedVault:
    """Implements :class:`Vault` in one SQLite file, sealed with AES-256-GCM.

    Tokens are random; a value is found again by its keyed hash. Several processes may use it at a time.
    """

    def __init__(self, path: Path, key: Key, clock: Callable[[], datetime] = _now) -> None:
        """Open a vault, or make it.

        Raises:
            DeidentifyFailed: the file is no vault, or belongs to another key.
        """
        self._path = path
        self._clock = clock
        self._key = key
        self._sealer = AESGCM(key.derived("vault"))
        try:
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            with closing(self._connection()) as connection, connection:
                connection.executescript(_TABLES)
                row = connection.execute("SELECT value FROM about WHERE name = 'key'").fetchone()
                if row is None:
                    connection.execute("INSERT INTO about VALUES ('key', ?)", (key.identity.encode(),))
                elif row[0] != key.identity.encode():
                    raise DeidentifyFailed(f"{path} is sealed with another key", "give the key that it was made with")
        except (sqlite3.Error, OSError) as error:
            raise DeidentifyFailed(f"{path} can't be used as a vault: {error}") from error

    def tokens(self, domain: str, values: Sequence[str]) -> list[str]:
        """Return the values' tokens, made at the first time; all in one transaction."""
        lookups = self._key.derived("vault-lookup", domain)
        with closing(self._connection()) as connection, connection:
            return [self._token(connection, domain, keyed_digest(lookups, value), value) for value in values]

    def _token(self, connection: sqlite3.Connection, domain: str, lookup: bytes, value: str) -> str:
        new = "tok_" + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
        nonce = secrets.token_bytes(12)
        sealed = nonce + self._sealer.encrypt(nonce, value.encode("utf-8", "surrogatepass"), _bound(domain, new))
        connection.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?) ON CONFLICT (domain, lookup) DO NOTHING",
            (new, domain, lookup, sealed),
        )
        found = connection.execute("SELECT token FROM token WHERE domain = ? AND lookup = ?", (domain, lookup))
        return str(found.fetchone()[0])

    def reveal(self, domain: str, tokens: Sequence[str], *, who: str, purpose: str) -> list[str | None]:
        """Return the values of tokens; the access is on record before any is unsealed."""
        _check(who, purpose)
        with closing(self._connection()) as connection:
            sealed = [
                connection.execute(
                    "SELECT sealed FROM token WHERE domain = ? AND token = ?", (domain, token)
                ).fetchone()
                for token in tokens
            ]
            found = sum(row is not None for row in sealed)
            self._record(connection, who, purpose, "reveal", domain, len(tokens), found)
        return [
            None if row is None else self._opened(row[0], domain, token)
            for row, token in zip(sealed, tokens, strict=True)
        ]

    def forget(self, domain: str, value: str, *, who: str, purpose: str) -> bool:
        """Delete a value; what the file held of it is overwritten."""
        _check(who, purpose)
        lookup = keyed_digest(self._key.derived("vault-lookup", domain), value)
        with closing(self._connection()) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            with connection:
                gone = connection.execute(
                    "DELETE FROM token WHERE domain = ? AND lookup = ?", (domain, lookup)
                ).rowcount
            self._record(connection, who, purpose, "forget", domain, 1, gone)
        return bool(gone)

    @property
    def home(self) -> Home:
        """Where the vault belongs, as far as it was told."""
        with closing(self._connection()) as connection:
            rows = connection.execute("SELECT name, value FROM about ORDER BY name").fetchall()
        platform = next((bytes(value).decode() for name, value in rows if name == "platform"), None)
        return Home(platform, tuple(name.removeprefix(_DATASET) for name, _ in rows if name.startswith(_DATASET)))

    def belong(self, home: Home) -> None:
        """Keep where the vault belongs: the platform in the place of another, data sets beside others."""
        said = {f"{_DATASET}{one}": b"" for one in home.datasets}
        if home.platform is not None:
            said["platform"] = home.platform.encode()
        with closing(self._connection()) as connection, connection:
            connection.executemany(
                "INSERT INTO about VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                said.items(),
            )

    def domains(self) -> list[str]:
        """Return the domains that the vault has values of."""
        with closing(self._connection()) as connection:
            return [str(row[0]) for row in connection.execute("SELECT DISTINCT domain FROM token ORDER BY domain")]

    def holds(self, domain: str, value: str) -> bool:
        """Say whether a value has a token, without unsealing anything."""
        lookup = keyed_digest(self._key.derived("vault-lookup", domain), value)
        query = "SELECT 1 FROM token WHERE domain = ? AND lookup = ?"
        with closing(self._connection()) as connection:
            return connection.execute(query, (domain, lookup)).fetchone() is not None

    def accesses(self) -> list[Access]:
        """Return the record, oldest first."""
        with closing(self._connection()) as connection:
            rows = connection.execute(
                "SELECT at, who, purpose, action, domain, tokens, found FROM access ORDER BY number"
            ).fetchall()
        return [Access(datetime.fromisoformat(row[0]), *row[1:]) for row in rows]

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)

    def _record(
        self, connection: sqlite3.Connection, who: str, purpose: str, action: str, domain: str, tokens: int, found: int
    ) -> None:
        with connection:
            connection.execute(
                "INSERT INTO access (at, who, purpose, action, domain, tokens, found) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._clock().isoformat(), who, purpose, action, domain, tokens, found),
            )

    def _opened(self, sealed: bytes, domain: str, token: str) -> str:
        try:
            return self._sealer.decrypt(sealed[:12], sealed[12:], _bound(domain, token)).decode(
                "utf-8", "surrogatepass"
            )
        except InvalidTag as error:
            raise DeidentifyFailed(
                f"the vault's entry of {token} was changed", "restore the vault from a copy"
            ) from error


def _bound(domain: str, token: str) -> bytes:
    """Return what an entry is bound to, so that one can't be put in another's place."""
    return f"{domain}\0{token}".encode()


def _check(who: str, purpose: str) -> None:
    if not who.strip() or not purpose.strip():
        raise DeidentifyFailed(
            "values are given out for a purpose only, to somebody with a name", "say who and what for"
        )
