"""The operators: each makes a column of another, and the same cell of the same."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Protocol

from mlplatform.deidentify import config
from mlplatform.deidentify.faults import DeidentifyFailed
from mlplatform.deidentify.ff1 import Ff1
from mlplatform.deidentify.secrets import Key, keyed_digest
from mlplatform.deidentify.vault import Vault
from mlplatform.redaction.checksums import luhn_valid

MASK = "****"
_CACHED = 100_000
_DATE = re.compile(r"(\d{4})-(\d\d)(?:-\d\d.*)?", re.DOTALL)


Cell = Callable[[object], object]


class Operator(Protocol):
    """Makes cells of others. Empty ones are not shown to it."""

    def __call__(self, values: Sequence[object]) -> Sequence[object]:
        """Return the new cells.

        Raises:
            DeidentifyFailed: a value can't be worked with.
        """


def _each(cell: Cell) -> Operator:
    return lambda values: [cell(value) for value in values]


def canonical(value: object, *, fold_case: bool = False) -> str:
    """Return a value as text that is the same in all formats: 5, 5.0 and "5" are one value, as are two forms of "é"."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = unicodedata.normalize("NFC", text).strip()
    return text.casefold() if fold_case else text


def made(operator: config.Operator, keys: dict[str, Key], vault: Callable[[config.Tokenise], Vault]) -> Operator:
    """Return the operator that a configuration asks for."""
    match operator:
        case config.Mask():
            return _each(_mask(operator.keep_last))
        case config.Redact():
            return _each(_redact(names=operator.names))
        case config.Hash():
            return _each(_hash(operator, keys[operator.key]))
        case config.FormatPreserving():
            return _each(FormatPreserver(operator, keys[operator.key]))
        case config.Tokenise():
            return _tokenise(operator, vault(operator))
        case config.Generalise():
            return _each(_generalise(operator))
    return lambda values: values


def _mask(keep_last: int) -> Cell:
    def mask(value: object) -> str:
        text = canonical(value)
        # What stays must be the smaller part, or little would be masked.
        kept = keep_last if len(text) >= 2 * keep_last + 1 else 0
        return MASK + (text[-kept:] if kept else "")

    return mask


def _redact(*, names: bool) -> Cell:
    from mlplatform.deidentify.text import redacted

    @lru_cache(_CACHED)
    def cached(text: str) -> str:
        return redacted(text, names=names)

    return lambda value: cached(canonical(value))


def _hash(operator: config.Hash, key: Key) -> Cell:
    derived = key.derived("hash", operator.domain)

    def keyed(value: object) -> str:
        return keyed_digest(derived, canonical(value, fold_case=operator.fold_case)).hex()[: operator.length]

    return keyed


def _tokenise(operator: config.Tokenise, vault: Vault) -> Operator:
    def tokenised(values: Sequence[object]) -> list[object]:
        texts = [canonical(value, fold_case=operator.fold_case) for value in values]
        distinct = list(dict.fromkeys(texts))
        tokens = dict(zip(distinct, vault.tokens(operator.domain, distinct), strict=True))
        return [tokens[text] for text in texts]

    return tokenised


class FormatPreserver:
    """Encrypts the characters of an alphabet and leaves the others where they are."""

    def __init__(self, operator: config.FormatPreserving, key: Key) -> None:
        self._operator = operator
        self._alphabet = config.ALPHABETS[operator.alphabet]
        self._cipher = Ff1(key.derived("format-preserving", operator.domain), len(self._alphabet))
        self._tweak = operator.domain.encode()
        self._cached = lru_cache(_CACHED)(self._applied)

    def __call__(self, value: object) -> str:
        """Encrypt a value."""
        return self._cached(canonical(value), True)

    def reverse(self, value: str) -> str:
        """Return what was encrypted.

        Raises:
            DeidentifyFailed: it is too short to have been.
        """
        return self._applied(value, False)

    def _applied(self, text: str, forwards: bool) -> str:
        places = [index for index, character in enumerate(text) if character in self._alphabet]
        numerals = [self._alphabet.index(text[index]) for index in places]
        luhn = self._operator.check_digit == "luhn" and luhn_valid("".join(map(str, numerals))) and len(numerals) > 1
        body = numerals[:-1] if luhn else numerals
        work = self._cipher.encrypt if forwards else self._cipher.decrypt
        try:
            done = work(body, self._tweak)
        except ValueError as error:
            if self._operator.too_short == "mask" and forwards:
                return MASK
            raise DeidentifyFailed(
                f"a value has {len(body)} characters of the alphabet {self._operator.alphabet}, too few to be encrypted",
                "mask such values (too_short: mask), or use another operator",
            ) from error
        if luhn:
            done = [*done, next(digit for digit in range(10) if luhn_valid("".join(map(str, [*done, digit]))))]
        characters = list(text)
        for index, numeral in zip(places, done, strict=True):
            characters[index] = self._alphabet[numeral]
        return "".join(characters)


def _generalise(operator: config.Generalise) -> Cell:
    if operator.date is not None:
        return _date(operator.date)
    if operator.band is not None:
        return _band(operator.band)
    if operator.keep_first is not None:
        first = operator.keep_first
        return lambda value: canonical(value)[:first] + "*" if len(canonical(value)) > first else "*"
    assert operator.ip_prefix is not None
    return _ip(*operator.ip_prefix)


def _date(to: str) -> Cell:
    def generalised(value: object) -> str:
        if isinstance(value, date):
            year, month = value.year, value.month
        else:
            match = _DATE.fullmatch(canonical(value))
            if match is None:
                raise DeidentifyFailed("a value is no date in ISO 8601 (YYYY-MM-DD)", "use the operator mask or drop")
            year, month = int(match.group(1)), int(match.group(2))
        if to == "decade":
            return f"{year // 10 * 10}s"
        return f"{year:04d}" if to == "year" else f"{year:04d}-{month:02d}"

    return generalised


def _band(width: float) -> Cell:
    def generalised(value: object) -> str:
        try:
            number = float(canonical(value))
            low = number // width * width
        except (ValueError, OverflowError) as error:
            raise DeidentifyFailed("a value is no number", "use the operator mask or drop") from error
        if low != low or low in {float("inf"), float("-inf")}:
            return "*"
        return f"[{_plain(low)}, {_plain(low + width)})"

    return generalised


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(round(number, 10))


def _ip(bits4: int, bits6: int) -> Cell:
    def generalised(value: object) -> str:
        try:
            address = ipaddress.ip_address(canonical(value))
        except ValueError as error:
            raise DeidentifyFailed("a value is no IP address", "use the operator mask or drop") from error
        bits = bits4 if address.version == 4 else bits6
        return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))

    return generalised
