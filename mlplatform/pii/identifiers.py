"""Identifiers of people that carry check digits, by country: found by form, confirmed by their arithmetic.

Where Presidio has the arithmetic it does it; the German and French ones, which it lacks, are here.
"""

import re
from collections.abc import Callable
from functools import cache

BY_CHANCE = frozenset({"UK_NHS", "US_NPI", "PL_PESEL", "DE_TAX_ID", "IN_AADHAAR"})
"""Bare digits of which one number in ten has a right check digit: a column of them counts, a single one does not."""

_FORMS: dict[str, tuple[re.Pattern[str], str]] = {
    "ES_NIF": (re.compile(r"(?<!\w)\d{7,8}-?[A-Z](?!\w)", re.IGNORECASE), "EsNifRecognizer"),
    "ES_NIE": (re.compile(r"(?<!\w)[XYZ]-?\d{7}-?[A-Z](?!\w)", re.IGNORECASE), "EsNieRecognizer"),
    "IT_FISCAL_CODE": (
        re.compile(r"(?<!\w)[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?!\w)", re.IGNORECASE),
        "ItFiscalCodeRecognizer",
    ),
    "FI_PERSONAL_IDENTITY_CODE": (
        re.compile(r"(?<!\w)\d{6}[+ABCDEFYXWVU-]\d{3}[0-9A-Z](?!\w)"),
        "FiPersonalIdentityCodeRecognizer",
    ),
    "MEDICAL_LICENSE": (re.compile(r"(?<!\w)[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}(?!\w)"), "MedicalLicenseRecognizer"),
    "CRYPTO": (re.compile(r"(?<!\w)(?:bc1[a-z0-9]{20,60}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})(?!\w)"), "CryptoRecognizer"),
    "UK_NHS": (re.compile(r"(?<![\w.-])\d{3}([ -]?)\d{3}\1\d{4}(?![\w-])(?!\.\d)"), "NhsRecognizer"),
    "US_NPI": (re.compile(r"(?<![\w.-])[12]\d{3}([ -]?)\d{3}\1\d{3}(?![\w-])(?!\.\d)"), "UsNpiRecognizer"),
    "PL_PESEL": (re.compile(r"(?<![\w.-])\d{11}(?![\w-])(?!\.\d)"), "PlPeselRecognizer"),
    "IN_AADHAAR": (re.compile(r"(?<![\w.-])[2-9]\d{3}([ -]?)\d{4}\1\d{4}(?![\w-])(?!\.\d)"), "InAadhaarRecognizer"),
}
_OWN: dict[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "FR_NIR": (
        re.compile(
            r"(?<![\w.-])[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?![\w-])(?!\.\d)"
        ),
        lambda text: nir_valid(text),
    ),
    "DE_TAX_ID": (
        re.compile(r"(?<![\w.-])[1-9]\d ?\d{3} ?\d{3} ?\d{3}(?![\w-])(?!\.\d)"),
        lambda text: tax_id_valid(text),
    ),
}


_MAYBE = re.compile(r"(?:\d[ -]?){6}|[A-Za-z]{6}\d\d|(?:bc1|[13])[a-zA-Z0-9]{24}")
"""What any of the forms has, so that most text is looked at once."""


def identifiers_in(text: str) -> dict[str, float]:
    """Return the kinds of identifiers in a text; those in :data:`BY_CHANCE` are told with less than half a confidence, and the
    French one with little more, since one number in a hundred fits it."""
    found: dict[str, float] = {}
    if not _MAYBE.search(text):
        return found
    for kind, (form, recognizer) in _FORMS.items():
        if any(_valid(recognizer, match.group()) for match in form.finditer(text)):
            found[kind] = 0.45 if kind in BY_CHANCE else 0.9
    for kind, (form, check) in _OWN.items():
        if any(check(match.group()) for match in form.finditer(text)):
            found[kind] = 0.45 if kind in BY_CHANCE else 0.55
    return found


def nir_valid(text: str) -> bool:
    """Say whether a French social security number has its right key: 97 less the number modulo 97 (INSEE)."""
    compact = text.replace(" ", "").replace("2A", "19").replace("2B", "18")
    return compact.isdigit() and len(compact) == 15 and 97 - int(compact[:13]) % 97 == int(compact[13:])


def tax_id_valid(text: str) -> bool:
    """Say whether a German tax identification number is right: ISO 7064 MOD 11,10, and one digit at least occurs twice."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(digits) != 11 or len(set(digits[:10])) > 9:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits[10]


def _valid(recognizer: str, text: str) -> bool:
    made = _recognizer(recognizer)
    try:
        return made.validate_result(text) is True and not made.invalidate_result(text)  # type: ignore[attr-defined]
    except (ValueError, IndexError, KeyError):
        return False


@cache
def _recognizer(name: str) -> object:
    from presidio_analyzer import predefined_recognizers

    return getattr(predefined_recognizers, name)()
