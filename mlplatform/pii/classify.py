"""Proposing how sensitive each column of a data set is: from its name, its type, how its values spread, and what a scan finds.

A proposal is for a person to confirm. It errs upwards: what identifies a row is taken for confidential though it may be a mere
number, and what a name promises counts although no value shows it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplatform.pii.columns import Reader, scan_column
from mlplatform.pii.findings import Finding
from mlplatform.pii.hints import hint_of
from mlplatform.spec.model import Classification

if TYPE_CHECKING:
    import pandas as pd

SENSITIVE = frozenset(
    {"US_SSN", "CREDIT_CARD", "IBAN_CODE", "NATIONAL_ID", "SECRET", "MEDICAL_LICENSE", "US_PASSPORT", "US_BANK_NUMBER"}
)
"""Kinds of personal data that do the most harm in the wrong hands: they let somebody pose or pay as the person."""
_SPECIAL = re.compile(
    r"(?:^|[^a-z])(diagnos\w*|disease|illness|medication|blood|hiv|pregnan\w*|disab\w*|religio\w*|ethnic\w*|race|sexual\w*|"
    r"political|union_member|biometric\w*|genetic\w*|criminal|convict\w*)(?:$|[^a-z])"
)
"""Special categories of personal data (GDPR, articles 9 and 10), as column names write them."""
_CONFIDENTIAL = re.compile(
    r"(?:^|[^a-z])(salary|income|wage|balance|revenue|credit_limit|net_worth|debt|score|rating)(?:$|[^a-z])"
)
_IDENTIFIER = re.compile(r"(?:^|[^a-z])(id|uuid|guid|key|code|no|nr|number|account)$")
_ALL_DIFFERENT = 0.95
_LEAST_ROWS = 20


@dataclass(frozen=True)
class Proposal:
    """What is proposed for one column."""

    column: str
    type: str
    classification: Classification
    reason: str
    findings: Sequence[Finding]


def classify_frame(frame: "pd.DataFrame", name: str, floor: Classification) -> list[Proposal]:
    """Propose a class for each column; ``floor`` is what columns get of which nothing is known, at most ``internal``."""
    least = floor if floor is Classification.PUBLIC else Classification.INTERNAL
    reader = Reader()
    return [
        _classify(frame.iloc[:, position], str(column), f"{name}.{column}", least, reader)
        for position, column in enumerate(frame.columns)
    ]


def _classify(
    values: "pd.Series[object]", column: str, location: str, least: Classification, reader: Reader
) -> Proposal:
    findings = scan_column(values, column, location, reader)
    certain = [one for one in findings if one.certain]
    said = _words(column)
    classification, reason = least, "nothing in its name or values speaks of people"
    if _different(values) and _IDENTIFIER.search(said):
        classification, reason = Classification.CONFIDENTIAL, "its values tell rows apart, and its name says identifier"
    if _CONFIDENTIAL.search(said):
        classification, reason = Classification.CONFIDENTIAL, "its name says money or standing"
    hint = hint_of(column)
    if hint.entity and not certain:
        classification, reason = Classification.PII, f"its name says {hint.entity}, though no value looked at shows it"
    if certain:
        kinds = ", ".join(sorted(one.entity for one in certain))
        classification, reason = Classification.PII, f"holds {kinds}"
    if sensitive := sorted({one.entity for one in certain} & SENSITIVE):
        classification, reason = Classification.SENSITIVE_PII, f"holds {', '.join(sensitive)}"
    elif _SPECIAL.search(said):
        classification, reason = Classification.SENSITIVE_PII, "its name says a special category of personal data"
    return Proposal(column, str(values.dtype), classification, reason, findings)


def _words(column: str) -> str:
    """Return a column's name in lower case with its words apart: ``customerId`` and ``Customer ID`` alike."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")


def _different(values: "pd.Series[object]") -> bool:
    present = values.dropna()
    if len(present) < _LEAST_ROWS:
        return False
    try:
        return bool(present.nunique() >= _ALL_DIFFERENT * len(present))
    except TypeError:  # lists and the like have no hash
        return False
