"""The cheap pass: personal data that has a form.

It asks :func:`mlplatform.redaction.redact` what it would take out, so that a log line that was redacted is a log line
that is clean, by definition and not by coincidence.
"""

import ipaddress
import re
from collections import Counter

from mlplatform.pii.identifiers import identifiers_in
from mlplatform.redaction import redact
from mlplatform.redaction.normal import normal

_TAKEN_OUT = re.compile(r"\[REDACTED:([A-Z_]+)\]")
_KINDS: dict[str, tuple[str, float]] = {
    "EMAIL": ("EMAIL_ADDRESS", 0.95),
    "IBAN": ("IBAN_CODE", 0.95),
    "CARD": ("CREDIT_CARD", 0.85),
    "SSN": ("US_SSN", 0.55),
    "PHONE": ("PHONE_NUMBER", 0.45),
    "PRIVATE_KEY": ("SECRET", 0.99),
    "API_KEY": ("SECRET", 0.95),
    "JWT": ("SECRET", 0.9),
    "CREDENTIALS": ("SECRET", 0.9),
    "TOKEN": ("SECRET", 0.7),
    "SECRET": ("SECRET", 0.5),
}
_PHONE_LIKE = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()./-]{0,2}\d){8,14}(?!\d)")
_IPV4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-])(?!\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,6}(?![\w:])")
_REGIONS = ("US", "GB", "DE", "FR", "ES")
_WHOLE_PHONE = re.compile(
    # No decimal number, address of the Internet, or date.
    r"(?=[+(0]|\d+[ ./-])(?!\d+[.-]\d+\Z)(?!\d{1,3}(?:\.\d{1,3}){3}\Z)(?!\d{4}[-/.]\d\d[-/.]\d\d)"
    r"\+?\(?\d(?:[ ()./-]{0,2}\d){7,14}"
)
STREET = re.compile(
    r"(?<![\w.])\d{1,5}[a-z]? (?:[A-Z0-9][\w.'-]{0,30} ){1,4}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Terrace|Crescent)\b"
    r"|\b[A-ZÄÖÜ][\wäöüß-]{2,30}(?:straße|strasse|str\.|weg|platz|allee|gasse|straat|laan|gracht) \d{1,4}(?: ?[a-z])?\b"
    r"|(?<![\w.])\d{1,4}(?: (?:bis|ter))?,? (?:rue|boulevard|chemin|impasse) (?:de |du |des |la |le |l')*[A-ZÀ-Ý]\w{2,30}"
    r"|\b(?:Calle|Avenida|Via|Rua|ul\.) (?:de |del |la )*[A-ZÀ-Ý]\w{2,30}(?: [A-ZÀ-Ý]?\w{1,30}){0,3},? \d{1,4}\b"
)


def entities_in(text: str) -> dict[str, float]:
    """Return the kinds of personal data with a form that a text holds, each with a confidence."""
    found: dict[str, float] = {}
    taken_out = Counter(_TAKEN_OUT.findall(redact(text)))
    taken_out.subtract(_TAKEN_OUT.findall(text))
    for kind, count in taken_out.items():
        if count > 0 and kind in _KINDS:
            entity, confidence = _KINDS[kind]
            if entity == "PHONE_NUMBER" and _valid_phone(text):
                confidence = 0.7
            found[entity] = max(confidence, found.get(entity, 0))
    text = normal(text)
    if any(_public(match) for match in _IPV4.findall(text)):
        found["IP_ADDRESS"] = 0.45
    if text.count(":") > 1 and any(_global(match) for match in _IPV6.findall(text)):
        found["IP_ADDRESS"] = 0.6
    if "PHONE_NUMBER" not in found and _WHOLE_PHONE.fullmatch(text.strip()) and _valid_phone(text):
        found["PHONE_NUMBER"] = 0.4
    found.update(identifiers_in(text))
    if STREET.search(text):
        found["STREET_ADDRESS"] = 0.7
    return found


def _valid_phone(text: str) -> bool:
    """Say whether a number in the text is one that somebody can have (numbering plans of all countries)."""
    import phonenumbers

    for match in _PHONE_LIKE.findall(text):
        for region in (None,) if match.startswith("+") else _REGIONS:
            try:
                if phonenumbers.is_valid_number(phonenumbers.parse(match, region)):
                    return True
            except phonenumbers.NumberParseException:
                continue
    return False


def _public(address: str) -> bool:
    """Say whether an address is one on the Internet: loopback and private ones point at nobody."""
    if max(map(int, address.split("."))) < 32:
        return False  # 1.2.3.4 is a version number more often than an address
    return _global(address)


def _global(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
