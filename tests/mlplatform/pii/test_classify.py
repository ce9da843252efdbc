"""What is proposed for a column, from its name, its type, how its values spread, and what a scan finds."""

import pandas as pd
import pytest

from mlplatform.pii.classify import classify_frame
from mlplatform.spec.model import Classification

ROWS = 60
MAILS = [f"anna.{number}@example.org" for number in range(ROWS)]


@pytest.mark.parametrize(
    ("column", "values", "expected", "words"),
    [
        ("contact", MAILS, "pii", "holds EMAIL_ADDRESS"),
        ("email", [None] * ROWS, "pii", "its name says EMAIL_ADDRESS, though no value"),
        ("card", ["4111 1111 1111 1111", "5500 0000 0000 0004"] * (ROWS // 2), "sensitive-pii", "holds CREDIT_CARD"),
        ("diagnosisCode", ["a", "b"] * (ROWS // 2), "sensitive-pii", "special category"),
        ("Customer ID", list(range(ROWS)), "confidential", "tell rows apart"),
        ("postal_code", [1000, 2000] * (ROWS // 2), "internal", "nothing"),
        ("annual_income", [10.0] * ROWS, "confidential", "money"),
        ("raceway_length", [10.0] * ROWS, "internal", "nothing"),
        ("tags", [["a"], ["b"]] * (ROWS // 2), "internal", "nothing"),
        ("hue", [0.5] * ROWS, "internal", "nothing"),
    ],
)
def test_a_column(column: str, values: list[object], expected: str, words: str) -> None:
    frame = pd.DataFrame({column: pd.Series(values)})
    (proposal,) = classify_frame(frame, "people", Classification.PII)
    assert (proposal.classification, words in proposal.reason) == (expected, True), proposal
    assert not any(str(value) in proposal.reason for value in values if isinstance(value, str) and len(value) > 3)


def test_public_data_stays_public_where_nothing_speaks_of_people() -> None:
    frame = pd.DataFrame({"hue": [0.5] * ROWS, "mail": MAILS})
    found = {one.column: one.classification for one in classify_frame(frame, "wine", Classification.PUBLIC)}
    assert found == {"hue": Classification.PUBLIC, "mail": Classification.PII}
