"""De-identifying one data set, and the record of it."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlplatform import __version__
from mlplatform.deidentify.config import Config, Drop, FormatPreserving, Keep, Operator, Tokenise
from mlplatform.deidentify.faults import DeidentifyFailed
from mlplatform.deidentify.operators import made
from mlplatform.deidentify.secrets import Key, key_from
from mlplatform.deidentify.streams import Change, columns_of, form_of, rewrite, unchanged
from mlplatform.deidentify.vault import EmbeddedVault, Home, Vault
from mlplatform.pii.survey import TableScan

EVIDENCE_TYPE = "deidentification/v1"
Scanner = Callable[[Path], TableScan]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Outcome:
    """What was written, and what is left in it."""

    evidence: dict[str, Any]
    remaining: list[dict[str, Any]]
    """Certain findings in the result, apart from columns whose values are meant to look like what they stand for."""


@dataclass(frozen=True)
class Deidentification:
    """One configuration with what it needs."""

    config: Config
    config_digest: str
    scan: Scanner
    """Scans the result."""
    clock: Callable[[], datetime] = _now

    def run(self, source: Path, target: Path) -> Outcome:
        """Write a data set without personal data, as a whole or not at all.

        Raises:
            DeidentifyFailed: a column is not in the configuration, or not in the data set, or a value can't be worked with.
            KeyUnavailable: a key's reference leads to none.
        """
        if form_of(source) != form_of(target):
            raise DeidentifyFailed(
                f"{target.name} is of another format than {source.name}", "give the output the same ending"
            )
        if source.resolve() == target.resolve():
            raise DeidentifyFailed("the output would overwrite the source", "name another file")
        keys = {name: key_from(reference) for name, reference in self.config.keys.items()}
        self._check(columns_of(source))
        seen: set[str] = set()
        counts: dict[str, int] = {}
        changes = {column: self._change(column, operator, keys, counts, seen) for column, operator in self._columns()}
        before = file_digest(source)
        rows = self._write(source, target, changes)
        if form_of(source) == "jsonl":
            self._check_seen(seen, rows)
        if file_digest(source) != before:
            target.unlink()
            raise DeidentifyFailed(f"{source.name} was changed while it was read", "run it again")
        return self._outcome(source, target, before, rows, keys, counts)

    def _columns(self) -> list[tuple[str, Operator]]:
        return list(self.config.columns.items())

    def _check(self, columns: list[str] | None) -> None:
        if columns is None:
            return
        unknown = sorted(set(self.config.columns) - set(columns))
        if unknown:
            raise DeidentifyFailed(f"the data set has no column {unknown[0]}", f"it has {', '.join(columns[:20])}")
        for column in columns:
            if column not in self.config.columns:
                self._other(column)

    def _other(self, column: str) -> Change | None:
        if self.config.others == "refuse":
            raise DeidentifyFailed(
                f"the column {column} is not in the configuration",
                "say what happens to it (operator: keep or drop), or set `others`",
            )
        return unchanged if self.config.others == "keep" else None

    def _check_seen(self, seen: set[str], rows: int) -> None:
        missing = [column for column in self.config.columns if column not in seen]
        if missing and rows:
            raise DeidentifyFailed(
                f"no row has {missing[0]}", "nested values are named by their path, as in user.mails[]"
            )

    def _change(
        self, column: str, operator: Operator, keys: dict[str, Key], counts: dict[str, int], seen: set[str]
    ) -> Change | None:
        counts[column] = 0
        if isinstance(operator, Drop):
            seen.add(column)
            return None
        if isinstance(operator, Keep):
            seen.add(column)
            return unchanged

        platform = None if self.config.platform is None else self.config.platform.rstrip("/")

        def vault(wanted: Tokenise) -> Vault:
            opened = EmbeddedVault(wanted.vault, keys[wanted.key], self.clock)
            opened.belong(Home(platform, () if self.config.dataset is None else (self.config.dataset,)))
            return opened

        apply = made(operator, keys, vault)

        def change(values: Any) -> Any:
            seen.add(column)
            counts[column] += len(values)
            try:
                return apply(values)
            except DeidentifyFailed as error:
                raise DeidentifyFailed(f"{column}: {error.message}", error.fix) from error

        return change

    def _write(self, source: Path, target: Path, changes: dict[str, Change | None]) -> int:
        """Write beside the target and put it in its place when it is whole."""
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        part = Path(name)
        try:
            rows = rewrite(source, part, changes, self._other)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return rows

    def _outcome(
        self, source: Path, target: Path, before: str, rows: int, keys: dict[str, Key], counts: dict[str, int]
    ) -> Outcome:
        scan = self.scan(target)
        look_alike = {
            f"{scan.name}.{column}" for column, operator in self._columns() if isinstance(operator, FormatPreserving)
        }
        findings = scan.as_dict()["findings"]
        for finding in findings:
            finding["expected"] = finding["location"] in look_alike
        remaining = [finding for finding in findings if finding["certain"] and not finding["expected"]]
        evidence = {
            "type": EVIDENCE_TYPE,
            "tool": {"name": "mlplatform", "version": __version__},
            "at": self.clock().isoformat(timespec="seconds"),
            "source": {"name": source.name, "digest": {"sha256": before}, "rows": rows},
            "output": {"name": target.name, "digest": {"sha256": file_digest(target)}, "rows": rows},
            "configuration": {"digest": {"sha256": self.config_digest}, "others": self.config.others},
            "columns": [self._told(column, operator, keys, counts) for column, operator in self._columns()],
            "scan": {
                "statement": scan.statement,
                "complete": scan.failed is None,
                "looked_at": scan.looked_at,
                "findings": findings,
                "remaining": len(remaining),
            },
        }
        return Outcome(evidence, remaining)

    def _told(self, column: str, operator: Operator, keys: dict[str, Key], counts: dict[str, int]) -> dict[str, Any]:
        options = operator.model_dump(mode="json", exclude_none=True, exclude={"operator", "key", "vault"})
        told = {"column": column, "operator": operator.operator, "options": options, "values": counts[column]}
        name = getattr(operator, "key", None)
        if name is not None:
            told["key"] = {"reference": self.config.keys[name], "id": keys[name].identity}
        return told


def file_digest(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
