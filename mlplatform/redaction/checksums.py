"""Check digits of card and bank account numbers, which tell a number that is one from a number that looks like one."""

_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "PT",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB PL",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT",
    32: "LC",
}
IBAN_LENGTHS = {country: length for length, countries in _COUNTRIES.items() for country in countries.split()}
"""Length of an account number by country code (ISO 13616 registry)."""


def luhn_valid(digits: str) -> bool:
    """Say whether a string of digits carries a right Luhn check digit (ISO/IEC 7812)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def card_valid(digits: str) -> bool:
    """Say whether digits are a payment card number: issuer range, length and check digit fit."""
    length = len(digits)
    if digits[0] == "4":
        fits = length in {13, 16, 19}
    elif digits[:2] in {"34", "37"}:
        fits = length == 15
    elif digits[:4] in {"2131", "1800"}:
        fits = length == 15  # JCB's older numbers
    elif digits[:2] in {"36", "38", "39"} or "300" <= digits[:3] <= "305":
        fits = 14 <= length <= 19
    else:
        fits = length in {16, 17, 18, 19} and (
            "51" <= digits[:2] <= "55" or "2221" <= digits[:4] <= "2720" or digits[0] == "6" or digits[:2] == "35"
        )
    return fits and luhn_valid(digits)


def iban_valid(compact: str) -> bool:
    """Say whether an upper-case account number without spaces has its country's length and right check digits."""
    if len(compact) != IBAN_LENGTHS.get(compact[:2]):
        return False
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
