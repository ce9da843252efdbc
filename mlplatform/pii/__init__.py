"""Finding personal data in data sets, model artefacts and logs: what and where and how often, never the value itself.

Data sets are scanned column by column. Values are sampled and deduplicated; a cheap pass by form (the patterns and check
digits of :mod:`mlplatform.redaction`) comes first, and only columns of text or of name-like values reach Presidio and its
language model. A column's own name is context for all of it.
"""

from mlplatform.pii.columns import scan_frame
from mlplatform.pii.files import scan_artefact, scan_logs
from mlplatform.pii.findings import THRESHOLD, Finding, Scan

__all__ = ["THRESHOLD", "Finding", "Scan", "scan_artefact", "scan_frame", "scan_logs"]
