"""Numbers of the platform's answers, which are texts so that nothing is lost, as people read them."""

from decimal import Decimal


def money(text: str) -> str:
    """Return an amount with two places, or more where it has more."""
    amount = Decimal(text)
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount.normalize():f}"


def number(text: str) -> str:
    """Return a number without zeros at its end."""
    return f"{Decimal(text).normalize():f}"
