"""What ``platform data scan`` does, once its arguments are read."""

import hashlib
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlplatform.cli import output
from mlplatform.deidentify.keys import secret_of
from mlplatform.pii.columns import MAX_LANGUAGE_VALUES, Reader
from mlplatform.pii.detectors import Detector
from mlplatform.pii.language import PresidioDetector, model_name
from mlplatform.pii.pool import PooledDetector
from mlplatform.pii.recognizers import load_recognizers
from mlplatform.pii.sources import Limits, open_source
from mlplatform.pii.state import ScanState
from mlplatform.pii.survey import SAMPLE, Progress, Survey, TableScan


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    sources: tuple[str, ...]
    sample: int | None
    full: bool
    seed: int | None
    recognizers: Path | None
    detector: str
    state: Path | None
    password: str | None
    workers: int | None


def scan(request: Request) -> list[TableScan]:
    """Scan all sources.

    Raises:
        SourceFailed: an address stands for nothing.
        DetectionFailed: the detector or the recognisers are not usable.
        KeyUnavailable: the password's reference leads to none.
    """
    own = load_recognizers(request.recognizers) if request.recognizers else None
    password = secret_of(request.password) if request.password else None
    tables = [table for source in request.sources for table in open_source(source, Limits(), password)]
    sample = None if request.full else request.sample or SAMPLE
    plan = {
        "sources": list(request.sources),
        "sample": sample,
        "detector": [request.detector, model_name()],
        "recognizers": hashlib.sha256(request.recognizers.read_bytes()).hexdigest() if request.recognizers else None,
    } | ({"seed": request.seed} if request.seed is not None else {})
    state = ScanState(request.state, plan, seed=secrets.randbits(32) if request.seed is None else request.seed)
    with ExitStack() as stack:
        detector: Detector
        if request.detector == "presidio":
            detector = stack.enter_context(PooledDetector(PresidioDetector, request.workers))
        elif request.detector == "dlp":
            from mlplatform.pii.cloud.dlp import DlpDetector

            detector = DlpDetector.from_environment()
        else:
            from mlplatform.pii.cloud.macie import MacieDetector

            detector = MacieDetector.from_environment()
        survey = Survey(Reader(detector, own, None if request.full else MAX_LANGUAGE_VALUES), sample)
        with _progress(len(tables)) as progress:
            return list(survey.scan(tables, state, progress))


@contextmanager
def _progress(tables: int) -> Iterator[Progress]:
    """Tell on a terminal, four times a second at most, how far the scan is."""
    if not output.coloured(sys.stderr):
        yield lambda _name, _rows, _total: None
        return
    told = [0.0]

    def tell(name: str, rows: int, total: int | None) -> None:
        if time.monotonic() - told[0] > 0.25:
            told[0] = time.monotonic()
            of = f" of {total:,}" if total else ""
            sys.stderr.write(f"\r\x1b[2K{name}: {rows:,}{of} rows read ({tables} tables)")
            sys.stderr.flush()

    yield tell
    sys.stderr.write("\r\x1b[2K")
