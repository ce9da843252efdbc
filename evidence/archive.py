"""Reads a pack's zip file, which a stranger may have made: nothing is extracted, and nothing is believed of its sizes."""

import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from evidence.errors import EvidenceError

CHECKPOINT, FRONTIER = "checkpoint", "frontier.json"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
CONTEXT, KEYS = "context/events.jsonl", "attestations/keys.json"
CONTEXT_ATTESTATIONS = "context/attestations.jsonl"

MOST_FILES = 10_000
MOST_BYTES = 64 << 30
MOST_RATIO = 200
LONGEST_LINE = 16 << 20
LARGEST_DOCUMENT = 64 << 20
_SMALL = 1 << 20
_CHUNK = 1 << 16
_NAME = re.compile(
    r"README\.md|report\.html|oscal-assessment-results\.json|checkpoint|frontier\.json|manifest\.(json|sig)|"
    r"(events|attestations)/[0-9]{6}\.jsonl|attestations/keys\.json|context/(events|attestations)\.jsonl|csv/[a-z-]{1,40}\.csv"
)


class Archive:
    """A pack's files. Use it as a context manager.

    Raises:
        EvidenceError: it is no zip file, or one that a pack never is: with other names, doubles, encryption, or contents that
            are out of all proportion to the file.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise EvidenceError(f"{file.name} is no zip file, or a damaged one: {error}") from None
        try:
            self.sizes = self._checked()
        except EvidenceError:
            self._zip.close()
            raise
        self.seen: dict[str, str] = {}
        """SHA-256 of the files that were read to their end."""

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's content in pieces.

        Raises:
            EvidenceError: it is not there, damaged, or has another size than the archive says.
        """
        if name not in self.sizes:
            raise EvidenceError(f"{name} is missing")
        digest, left = sha256(), self.sizes[name]
        try:
            with self._zip.open(name) as stream:
                while chunk := stream.read(min(_CHUNK, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        raise EvidenceError(f"{name} is larger than the archive says")
                    digest.update(chunk)
                    yield chunk
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            EOFError,
            OSError,
            ValueError,
            zlib.error,
        ) as error:
            raise EvidenceError(f"{name} is damaged: {error}") from None
        if left:
            raise EvidenceError(f"{name} is {left} bytes shorter than the archive says")
        self.seen[name] = digest.hexdigest()

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield a file's lines, without their ends.

        Raises:
            EvidenceError: as :meth:`chunks`, or a line is too long, or the last one has no end.
        """
        rest = b""
        for chunk in self.chunks(name):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > LONGEST_LINE:
                raise EvidenceError(f"{name} has a line of more than {LONGEST_LINE} bytes")
        if rest:
            raise EvidenceError(f"{name}: its last line has no end")

    def read(self, name: str) -> bytes:
        """Return a small file."""
        if self.sizes.get(name, 0) > LARGEST_DOCUMENT:
            raise EvidenceError(f"{name} is larger than {LARGEST_DOCUMENT} bytes")
        return b"".join(self.chunks(name))

    def json(self, name: str) -> Any:
        """Return a small file's JSON."""
        try:
            return json.loads(self.read(name))
        except (ValueError, RecursionError):
            raise EvidenceError(f"{name} is no JSON") from None

    def numbered(self, folder: str) -> list[str]:
        """Return the files ``folder/000001.jsonl`` and so on.

        Raises:
            EvidenceError: a number is missing.
        """
        found = sorted(name for name in self.sizes if re.fullmatch(rf"{folder}/[0-9]{{6}}\.jsonl", name))
        for number, name in enumerate(found, start=1):
            if name != f"{folder}/{number:06}.jsonl":
                raise EvidenceError(f"{folder}/{number:06}.jsonl is missing")
        return found

    def compare(self, name: str, expected: IO[bytes]) -> int | None:
        """Return the number of the first line in which a file differs from what it should be; nothing if it is that."""
        line, same = 1, True
        found_line = None
        for chunk in self.chunks(name):
            want = expected.read(len(chunk))
            if same and want != chunk:
                same = False
                at = next(
                    (at for at, pair in enumerate(zip(want, chunk, strict=False)) if pair[0] != pair[1]), len(want)
                )
                found_line = line + chunk[:at].count(b"\n")
            line += chunk.count(b"\n")
        if same and expected.read(1):
            return line
        return found_line

    def _checked(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        entries = self._zip.infolist()
        if len(entries) > MOST_FILES:
            raise EvidenceError(f"the archive holds {len(entries)} files; a pack has at most {MOST_FILES}")
        for entry in entries:
            name = entry.filename
            shown = repr(name[:100])
            if name in sizes:
                raise EvidenceError(f"the archive holds {shown} twice")
            if not _NAME.fullmatch(name) or entry.orig_filename != name:
                raise EvidenceError(f"the archive holds {shown}, which is no file of a pack")
            if entry.flag_bits & 0x1:
                raise EvidenceError(f"{shown} is encrypted")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise EvidenceError(f"{shown} is a link")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise EvidenceError(f"{shown} is compressed in a way that packs are not")
            if entry.file_size > max(entry.compress_size * MOST_RATIO, _SMALL):
                raise EvidenceError(
                    f"{shown} unpacks to {entry.file_size} bytes from {entry.compress_size}: a zip bomb"
                )
            sizes[name] = entry.file_size
        if sum(sizes.values()) > MOST_BYTES:
            raise EvidenceError(f"the archive unpacks to {sum(sizes.values())} bytes; a pack has at most {MOST_BYTES}")
        return sizes
