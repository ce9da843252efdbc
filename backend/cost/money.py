"""Dividing amounts so that the parts add up to exactly what was divided, and writing them in cents."""

from collections.abc import Hashable, Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TypeVar

from backend.cost.fixed import MONEY_PLACES, scaled, unscaled

Key = TypeVar("Key", bound=Hashable)

CENTS = 2


def divide(whole: int, weights: Sequence[int]) -> list[int]:
    """Divide a whole number in proportion to weights, none of them negative, by the method of the largest remainder.

    Each part is the proportional one rounded down, and what is left over goes, one by one, to those that lost most by that; of
    those that lost the same, to the first. So the parts always add up to the whole, and none is off by as much as one. Without
    any weight all parts are the same as nearly as can be. The whole may be negative, as a credit is.
    """
    if not weights:
        raise ValueError("there is nobody to divide it among")
    if whole < 0:
        return [-part for part in divide(-whole, weights)]
    total = sum(weights)
    if total == 0:
        weights, total = [1] * len(weights), len(weights)
    parts, remainders = [], []
    for weight in weights:
        part, remainder = divmod(whole * weight, total)
        parts.append(part)
        remainders.append(remainder)
    left = whole - sum(parts)
    for index in sorted(range(len(weights)), key=lambda one: -remainders[one])[:left]:
        parts[index] += 1
    return parts


def split(amount: Decimal, weights: Mapping[Key, Decimal]) -> dict[Key, Decimal]:
    """Divide an amount among keys as :func:`divide` does, to nine places."""
    keys = list(weights)
    shares = divide(scaled(amount, MONEY_PLACES), [max(scaled(weights[key], MONEY_PLACES), 0) for key in keys])
    return {key: unscaled(share, MONEY_PLACES) for key, share in zip(keys, shares, strict=True)}


def to_cents(amount: Decimal) -> Decimal:
    """Round an amount to cents, half to even."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def rounded(amounts: Mapping[Key, Decimal], places: int) -> dict[Key, Decimal]:
    """Round amounts to so many places so that they add up to their sum, rounded: what the lines of a bill must do.

    Each is rounded down, and what is missing goes, one smallest unit at a time, to those that lost most.
    """
    keys = list(amounts)
    exact = {key: amounts[key].scaleb(places) for key in keys}
    floors = {key: int(exact[key].to_integral_value(ROUND_FLOOR)) for key in keys}
    whole = sum(amounts.values(), Decimal(0)).scaleb(places).to_integral_value(ROUND_HALF_EVEN)
    missing = int(whole) - sum(floors.values())
    for key in sorted(keys, key=lambda one: floors[one] - exact[one])[:missing]:
        floors[key] += 1
    return {key: unscaled(floors[key], places) for key in keys}


def cents_of(amounts: Mapping[Key, Decimal]) -> dict[Key, Decimal]:
    """Round amounts to cents so that they add up to their sum, rounded."""
    return rounded(amounts, CENTS)
