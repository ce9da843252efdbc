"""Decimals as the database keeps them: whole numbers of a small unit, so that sums are exact on every database.

SQLite has no decimals: a ``NUMERIC`` column there goes through binary floating point, and a bill would be off by a cent.
"""

from decimal import ROUND_HALF_EVEN, Decimal

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

MONEY_PLACES = 9
QUANTITY_PLACES = 6


class Fixed(TypeDecorator[Decimal]):
    """A decimal with so many places. Sums of such a column are such decimals, too."""

    impl = BigInteger
    cache_ok = True

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Turn a decimal into a number of the smallest unit; what has more places is rounded."""
        return None if value is None else scaled(value, self.places)

    def process_result_value(self, value: int | Decimal | None, dialect: Dialect) -> Decimal | None:
        """Turn a number of the smallest unit back; PostgreSQL adds whole numbers up to a decimal."""
        return None if value is None else unscaled(int(value), self.places)


class Money(Fixed):
    """An amount in the currency of the settings."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(MONEY_PLACES)


class Quantity(Fixed):
    """An amount of a resource in its unit."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(QUANTITY_PLACES)


def scaled(value: Decimal, places: int) -> int:
    """Return how many of the smallest units a decimal is."""
    return int(value.scaleb(places).to_integral_value(ROUND_HALF_EVEN))


def unscaled(value: int, places: int) -> Decimal:
    """Return the decimal that so many of the smallest units are."""
    return Decimal(value).scaleb(-places)
