"""What a prediction is known by that no header named: the id of a message, or the day and the key of a row in the lake."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlplatform.serving.samples import named_id

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")


def message_id(environment: str, model: str, message: str) -> str:
    """Return the prediction's id of a message, as the consumer has sampled it."""
    return named_id(environment, model, message)


def row_id(environment: str, model: str, day: date, key: Sequence[Any]) -> str:
    """Return the prediction's id of a row, given the values of its key columns in the order of ``batch.keys``."""
    return named_id(environment, model, day.isoformat(), *map(key_text, key))


def key_text(value: Any) -> str:
    """Return a key's value in one form, whether it comes from Parquet, JSON or a line of CSV.

    17, 17.0 and "17" are the same, and so are a moment and its text by ISO 8601 (UTC where it names no offset).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else str(number)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date):
        return value.isoformat()
    text = value.hex() if isinstance(value, bytes) else str(value)
    if _MOMENT.match(text):
        try:
            return _moment(datetime.fromisoformat(text))
        except ValueError:
            return text
    return text


def _moment(value: datetime) -> str:
    return (value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)).isoformat()
