"""Scanning model artefacts and captured logs."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from mlplatform.pii.columns import Reader, scan_frame
from mlplatform.pii.findings import Finding, Scan
from mlplatform.pii.patterns import entities_in
from mlplatform.pii.recognizers import OwnRecognizers
from mlplatform.pii.strings import Extracted, strings_in, strings_of

MAX_FILES = 2_000
_MAX_NAMES_READ = 300
_LEAST_NAMES = 3
# Kinds whose check digits or fixed form make a match by chance unlikely even in arbitrary bytes.
_SURE_IN_BYTES = {"EMAIL_ADDRESS", "IBAN_CODE", "SECRET"}
_EXAMPLES = {"input_example.json", "serving_input_example.json"}
_TWO_NAMES = re.compile(
    r"[A-ZÀ-ÖØ-Þ][^\W\d_]{1,20}[-'’]?[^\W\d_]{0,15}(?: [A-ZÀ-ÖØ-Þ]\.?)?(?: [A-ZÀ-ÖØ-Þ][^\W\d_'’-]{1,25}){1,2}"
)
_ABOUT_PEOPLE = re.compile(r"(?i)\b(?:customer|patient|client|user|employee|applicant|member|mr|mrs|ms|dr)\b")


def scan_artefact(
    folder: Path,
    prefix: str = "model",
    listed: Mapping[str, frozenset[str]] | None = None,
    own: OwnRecognizers | None = None,
) -> Scan:
    """Scan all files of a model folder; locations are paths below ``prefix``, archive members after a colon.

    ``listed`` has, by column, the only values that ``model.yaml`` accepts there. A few rows of an input example are too few
    to tell such a code (an airport's ``JFK``) from a name.
    """
    scan = Scan()
    for path in _files(folder, scan):
        location = f"{prefix}/{path.relative_to(folder).as_posix()}"
        scan.files += 1
        if path.name in _EXAMPLES:
            example = _scan_example(path, location, listed or {}, own)
            if example is not None:
                scan.extend(example)
                continue
        for extracted in strings_of(path, location):
            _scan_strings(extracted, scan, own, is_log=False)
    scan.findings = _merged(scan.findings)
    return scan


def scan_logs(folder: Path, prefix: str = "logs", own: OwnRecognizers | None = None) -> Scan:
    """Scan captured logs line by line."""
    scan = Scan()
    for path in _files(folder, scan):
        scan.files += 1
        for extracted in strings_of(path, f"{prefix}/{path.relative_to(folder).as_posix()}"):
            _scan_strings(extracted, scan, own, is_log=True)
    return scan


def scan_content(stream: IO[bytes], location: str, own: OwnRecognizers | None = None) -> Scan:
    """Scan one open file: text line by line, as a log, and anything else by the strings in it."""
    scan = Scan(files=1)
    for extracted in strings_in(stream, location):
        _scan_strings(extracted, scan, own, is_log=extracted.is_text)
    scan.findings = _merged(scan.findings)
    return scan


def _files(folder: Path, scan: Scan) -> list[Path]:
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if len(found) > MAX_FILES:
        scan.notes.append(f"{folder.name}: only {MAX_FILES} of {len(found)} files were read")
    return found[:MAX_FILES]


def _scan_strings(extracted: Extracted, scan: Scan, own: OwnRecognizers | None, *, is_log: bool) -> None:
    if extracted.note:
        scan.notes.append(extracted.note)
    counts: dict[str, int] = defaultdict(int)
    for text in extracted.strings:
        counts[text] += 1
    hits: dict[str, int] = defaultdict(int)
    confidence: dict[str, float] = defaultdict(float)
    sure = _SURE_IN_BYTES | (own.kinds if own is not None else frozenset())
    for text, count in counts.items():
        found = entities_in(text)
        if own is not None:
            found |= {kind: max(score, found.get(kind, 0)) for kind, score in own.kinds_in(text).items()}
        for entity, score in found.items():
            if extracted.is_raw and (entity not in sure or score < 0.9):
                continue
            if is_log and entity == "SECRET":
                score = max(
                    score, 0.7
                )  # an assignment of a password in a log is one; in a config file it may be a name
            hits[entity] += count
            confidence[entity] = max(confidence[entity], score)
    total = len(extracted.strings)
    scan.sampled += total
    scan.findings += [
        Finding(entity, extracted.location, count, total, round(confidence[entity], 2))
        for entity, count in hits.items()
    ]
    if not extracted.is_raw:
        scan.findings += _people(counts, extracted, total, is_log=is_log)


def _people(counts: dict[str, int], extracted: Extracted, total: int, *, is_log: bool) -> list[Finding]:
    """Look for names of people: as categories that an encoder kept, or in log lines that speak of people."""
    if extracted.is_text:
        if not is_log:
            return []
        lines = [line for line in counts if _ABOUT_PEOPLE.search(line) and _TWO_NAMES.search(line)][:_MAX_NAMES_READ]
        if not lines:
            return []
        from mlplatform.pii.language import is_person, people_in

        # Read twice: in its line and by itself, since log lines are no sentences.
        people = [
            line for line in lines if any(_TWO_NAMES.fullmatch(name) and is_person(name) for name in people_in(line))
        ]
        least = 1
    else:
        names = [text for text in counts if _TWO_NAMES.fullmatch(text)][:_MAX_NAMES_READ]
        if len(names) < _LEAST_NAMES:
            return []
        from mlplatform.pii.language import is_person

        people = [name for name in names if is_person(name)]
        least = max(_LEAST_NAMES, len(names) // 2)
    if len(people) < least:
        return []
    return [Finding("PERSON", extracted.location, sum(counts[text] for text in people), total, 0.75)]


def _merged(findings: list[Finding]) -> list[Finding]:
    """Keep one finding of each kind and place: a pickle is read twice, as opcodes and as bytes."""
    best: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        known = best.get((finding.location, finding.entity))
        if known is None or (finding.confidence, finding.count) > (known.confidence, known.count):
            best[finding.location, finding.entity] = finding
    return list(best.values())


def _scan_example(
    path: Path, location: str, listed: Mapping[str, frozenset[str]], own: OwnRecognizers | None
) -> Scan | None:
    """Scan a saved input example column by column, since its column names are context."""
    import pandas as pd

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        split = document.get("dataframe_split", document)
        frame = pd.DataFrame(split["data"], columns=split["columns"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    codes = [name for name in frame.columns if name in listed and set(frame[name].dropna().map(str)) <= listed[name]]
    return scan_frame(frame.drop(columns=codes), location, Reader(own=own))
