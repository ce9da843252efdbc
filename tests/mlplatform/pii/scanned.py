"""Scanning as the command does it, for tests."""

from mlplatform.pii.columns import Reader
from mlplatform.pii.language import PresidioDetector
from mlplatform.pii.sources import Limits, open_source
from mlplatform.pii.state import ScanState
from mlplatform.pii.survey import Survey


def scan(address, *, sample=5_000, limits=None, state=None, seed=1, own=None, part_rows=20_000, detector=None):
    """Scan an address and return its tables' results."""
    tables = open_source(str(address), limits or Limits())
    most = None if sample is None else 200
    survey = Survey(Reader(detector or PresidioDetector(), own, most), sample, part_rows)
    kept = ScanState(state, {"sample": sample}, seed=seed)
    return list(survey.scan(tables, kept, lambda name, rows, total: None))


def found(tables):
    """Return the certain findings as pairs of place and kind."""
    return {(finding.location, finding.entity) for table in tables for finding in table.certain}
