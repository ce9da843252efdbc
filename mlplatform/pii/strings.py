"""The strings inside of files, without ever loading what is in them.

A model file can run code when it is loaded, so pickles are read opcode by opcode, archives member by member, and anything
else as runs of readable characters. All of it is bounded: a file of a few bytes must not unpack to gigabytes.
"""

import bz2
import gzip
import io
import json
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from mlplatform.redaction.text import is_secret_name

MAX_BYTES = 64 * 1024 * 1024
"""Of one file, or of one archive after unpacking."""
MAX_STRINGS = 200_000
MAX_MEMBERS = 5_000
_MAX_LENGTH = 4_000
_MAX_NESTING = 3
_READABLE = re.compile(rb"[\x20-\x7e]{8,4000}")
_READABLE_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00\x00\x00){4,1000}")


@dataclass(frozen=True)
class Extracted:
    """Strings of one file or archive member."""

    location: str
    strings: list[str]
    is_text: bool
    """Whether it is a text file, whose strings are its lines."""
    is_raw: bool = False
    """Whether the strings are runs of readable bytes, which may be chance."""
    note: str | None = None


def strings_of(path: Path, location: str) -> Iterator[Extracted]:
    """Return the strings of a file, and of the members of an archive."""
    with path.open("rb") as stream:
        yield from strings_in(stream, location)


def strings_in(stream: IO[bytes], location: str) -> Iterator[Extracted]:
    """Return the strings of an open file, and of the members of an archive."""
    content = stream.read(MAX_BYTES + 1)
    note = f"{location}: only the first {MAX_BYTES // 2**20} MiB were read" if len(content) > MAX_BYTES else None
    budget = _Budget(MAX_BYTES)
    yield from _extract(content[:MAX_BYTES], location, note, budget, 0)


@dataclass
class _Budget:
    """How many bytes may still be unpacked."""

    left: int


def _extract(content: bytes, location: str, note: str | None, budget: _Budget, depth: int) -> Iterator[Extracted]:
    unpacked = _unpacked(content, budget) if depth < _MAX_NESTING else None
    if unpacked is not None:
        yield from _extract(unpacked, location, note, budget, depth + 1)
        return
    if content[:4] == b"PK\x03\x04" and depth < _MAX_NESTING:
        yield from _members(content, location, budget, depth)
        return
    if content[:6] == b"\x93NUMPY":
        yield Extracted(location, _array_strings(content), is_text=False, note=note)
        return
    text = _as_text(content)
    if text is not None:
        parsed = _json_strings(text)
        if parsed is not None:
            yield Extracted(location, parsed, is_text=False, note=note)
        else:
            lines = [line[:_MAX_LENGTH] for line in text.splitlines() if line.strip()]
            yield Extracted(location, lines[:MAX_STRINGS], is_text=True, note=note)
        return
    runs = None
    if content[:1] == b"\x80":
        strings, runs = _pickle_strings(content)
        yield Extracted(location, strings, is_text=False)
    yield Extracted(location, _runs(content) if runs is None else runs, is_text=False, is_raw=True, note=note)


def _unpacked(content: bytes, budget: _Budget) -> bytes | None:
    """Return the content of a compressed file, cut off at the budget."""
    try:
        if content[:2] == b"\x1f\x8b":
            unpacked = gzip.GzipFile(fileobj=io.BytesIO(content)).read(budget.left)
        elif content[:3] == b"BZh":
            unpacked = bz2.BZ2Decompressor().decompress(content, budget.left)
        elif content[:6] == b"\xfd7zXZ\x00" or content[:3] == b"\x5d\x00\x00":
            unpacked = lzma.LZMADecompressor().decompress(content, budget.left)
        elif content[:1] == b"\x78" and content[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
            unpacked = zlib.decompressobj().decompress(content, budget.left)
        else:
            return None
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return None
    budget.left -= len(unpacked)
    return unpacked


def _members(content: bytes, location: str, budget: _Budget, depth: int) -> Iterator[Extracted]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError):
        yield Extracted(location, _runs(content), is_text=False, is_raw=True, note=f"{location}: a damaged archive")
        return
    if len(members) > MAX_MEMBERS:
        note = f"{location}: only {MAX_MEMBERS} of {len(members)} members were read"
        yield Extracted(location, [], is_text=False, note=note)
    for member in members[:MAX_MEMBERS]:
        if member.is_dir():
            continue
        name = f"{location}:{member.filename[:200]}"
        if budget.left <= 0:
            yield Extracted(name, [], is_text=False, note=f"{name}: not read, the archive is too large")
            return
        try:
            with archive.open(member) as stream:
                unpacked = stream.read(budget.left)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
            yield Extracted(name, [], is_text=False, note=f"{name}: not readable ({type(error).__name__})")
            continue
        budget.left -= len(unpacked)
        yield from _extract(unpacked, name, None, budget, depth + 1)


def _pickle_strings(content: bytes) -> tuple[list[str], list[str] | None]:
    """Return the strings of a pickle from its opcodes, and the readable runs of its byte strings; nothing is executed.

    Where reading ends early, as in joblib's files, which hold the bytes of arrays between the opcodes, there are no runs:
    all of the file has to be read for them.
    """
    found: list[str] = []
    runs: list[str] = []
    stream = io.BytesIO(content)
    try:
        # joblib puts a pickle of its own inside for an array of objects; the outer one goes on after its end.
        while stream.tell() < len(content) and len(found) + len(runs) < MAX_STRINGS:
            for opcode, argument, _ in pickletools.genops(stream):
                if isinstance(argument, str) and opcode.name not in {"GLOBAL", "INST"}:
                    found.append(argument[:_MAX_LENGTH])
                elif isinstance(argument, bytes | bytearray):
                    runs += _runs(bytes(argument))
    except (ValueError, IndexError, UnicodeError, OverflowError, MemoryError):
        return found, None
    return found, runs


def _array_strings(content: bytes) -> list[str]:
    import numpy as np

    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError):
        return _runs(content)
    if array.dtype.kind not in "US":
        return []
    flat = array.reshape(-1)[:MAX_STRINGS]
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in flat.tolist()]


def _as_text(content: bytes) -> str | None:
    if b"\x00" in content[:4096]:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        # A file that was cut off may end in the middle of a character.
        return content[: error.start].decode("utf-8") if error.start > len(content) - 4 and error.start else None


def _json_strings(text: str) -> list[str] | None:
    """Return the values and names of a JSON document, or nothing if the text is none."""
    if text[:1] not in "[{":
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found: list[str] = []
    todo = [document]
    while todo and len(found) < MAX_STRINGS:
        value = todo.pop()
        if isinstance(value, str):
            found.append(_inner(value[:_MAX_LENGTH]))
        elif isinstance(value, dict):
            for name, item in value.items():
                # With its name, what a secret is called is seen by the patterns for secrets.
                if isinstance(item, str) and is_secret_name(name):
                    found.append(f"{name}: {item[:_MAX_LENGTH]}")
                else:
                    todo += [name, item]
        elif isinstance(value, list):
            todo += value
    return found


def _inner(text: str) -> str:
    """Return the text inside of a string that is itself JSON: skops keeps its strings so."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text


def _runs(content: bytes) -> list[str]:
    """Return what is readable in bytes, in one byte a character or, as NumPy stores text, in four."""
    found = [match.group().decode("ascii") for match in islice(_READABLE.finditer(content), MAX_STRINGS)]
    wide = islice(_READABLE_WIDE.finditer(content), MAX_STRINGS)
    return found + [match.group().decode("utf-32-le") for match in wide]
