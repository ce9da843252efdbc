"""What a column's name says about its values."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_ENTITIES: dict[str, str] = {
    "email": "EMAIL_ADDRESS",
    "emails": "EMAIL_ADDRESS",
    "mail": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "phones": "PHONE_NUMBER",
    "telephone": "PHONE_NUMBER",
    "tel": "PHONE_NUMBER",
    "mobile": "PHONE_NUMBER",
    "cell": "PHONE_NUMBER",
    "msisdn": "PHONE_NUMBER",
    "fax": "PHONE_NUMBER",
    "card": "CREDIT_CARD",
    "pan": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "ssn": "US_SSN",
    "ip": "IP_ADDRESS",
    "address": "STREET_ADDRESS",
    "addr": "STREET_ADDRESS",
    "street": "STREET_ADDRESS",
    "birthday": "DATE_OF_BIRTH",
    "birthdate": "DATE_OF_BIRTH",
    "dob": "DATE_OF_BIRTH",
    "birth": "DATE_OF_BIRTH",
    "passport": "NATIONAL_ID",
    "surname": "PERSON",
    "firstname": "PERSON",
    "lastname": "PERSON",
    "fullname": "PERSON",
    "forename": "PERSON",
    # German
    "vorname": "PERSON",
    "nachname": "PERSON",
    "familienname": "PERSON",
    "kundenname": "PERSON",
    "strasse": "STREET_ADDRESS",
    "anschrift": "STREET_ADDRESS",
    "adresse": "STREET_ADDRESS",
    "telefon": "PHONE_NUMBER",
    "telefonnummer": "PHONE_NUMBER",
    "handy": "PHONE_NUMBER",
    "mobil": "PHONE_NUMBER",
    "geburtsdatum": "DATE_OF_BIRTH",
    "geburtstag": "DATE_OF_BIRTH",
    "ausweisnummer": "NATIONAL_ID",
    "steuernummer": "NATIONAL_ID",
    "kreditkarte": "CREDIT_CARD",
    # French
    "prenom": "PERSON",
    "courriel": "EMAIL_ADDRESS",
    "naissance": "DATE_OF_BIRTH",
    "rue": "STREET_ADDRESS",
    "portable": "PHONE_NUMBER",
    # Spanish
    "apellido": "PERSON",
    "apellidos": "PERSON",
    "correo": "EMAIL_ADDRESS",
    "telefono": "PHONE_NUMBER",
    "movil": "PHONE_NUMBER",
    "direccion": "STREET_ADDRESS",
    "calle": "STREET_ADDRESS",
    "nacimiento": "DATE_OF_BIRTH",
    "dni": "NATIONAL_ID",
    "nie": "NATIONAL_ID",
    "nif": "NATIONAL_ID",
    "tarjeta": "CREDIT_CARD",
}
_HOLDERS = (
    *("first", "last", "full", "given", "family", "middle", "maiden", "customer", "client", "patient", "employee"),
    *("person", "user", "account", "card", "holder", "cardholder", "contact", "owner", "author", "doctor"),
    *("manager", "applicant", "member", "guest", "passenger"),
)
"""Words that make ``<word> name`` a person's name."""
_PAIRS: dict[tuple[str, str], str] = {
    ("e", "mail"): "EMAIL_ADDRESS",
    ("mail", "address"): "EMAIL_ADDRESS",
    ("email", "address"): "EMAIL_ADDRESS",
    ("ip", "address"): "IP_ADDRESS",
    ("ip", "addr"): "IP_ADDRESS",
    ("social", "security"): "US_SSN",
    ("national", "id"): "NATIONAL_ID",
    ("tax", "id"): "NATIONAL_ID",
    ("identity", "number"): "NATIONAL_ID",
    ("driver", "license"): "NATIONAL_ID",
    ("driving", "licence"): "NATIONAL_ID",
    ("passport", "number"): "NATIONAL_ID",
} | {(word, "name"): "PERSON" for word in _HOLDERS}
_ABOUT_PEOPLE = frozenset(
    {"name", "customer", "client", "patient", "employee", "person", "contact", "owner", "author", "doctor"}
    | {"manager", "applicant", "member", "guest", "passenger", "beneficiary", "sender", "recipient"}
    | {"kunde", "inhaber", "mitarbeiter", "patientin", "nom", "nombre", "cliente", "titular", "paciente", "empleado"}
)


_OWN_NAMES = frozenset(
    {"surname", "firstname", "lastname", "fullname", "forename", "first", "last", "full", "given", "family", "maiden"}
    | {"vorname", "nachname", "familienname", "prenom", "apellido", "apellidos"}
)


_THINGS = frozenset(
    {
        "city",
        "town",
        "place",
        "country",
        "state",
        "region",
        "county",
        "company",
        "employer",
        "organisation",
        "organization",
    }
    | {"job", "occupation", "profession", "product", "brand", "colour", "color", "category", "department", "species"}
    | {"stadt", "ort", "land", "firma", "beruf", "farbe", "ville", "pays", "entreprise", "metier", "couleur"}
    | {"ciudad", "pais", "empresa", "profesion", "producto"}
)
"""Words for what is often called like people are."""


@dataclass(frozen=True)
class Hint:
    """What to expect in a column."""

    entity: str | None = None
    """The one kind that the name names."""
    people: bool = False
    """Whether the values may well be people."""
    words: tuple[str, ...] = ()
    """The name's words, as context for Presidio."""

    @property
    def things(self) -> bool:
        """Whether the values are called like people and are none: places, companies, jobs."""
        return not self.people and any(word in _THINGS for word in self.words)

    @property
    def own_name(self) -> bool:
        """Whether it is a given or family name by itself, which is one however it is written."""
        return self.entity == "PERSON" and any(word in _OWN_NAMES for word in self.words)


def hint_of(column: str) -> Hint:
    """Return what a column's name says; ``customerEmail``, ``e-mail`` and ``EMAIL_ADDR`` all say e-mail."""
    words = tuple(word.lower() for word in _WORD.findall(_without_accents(column)))
    people = any(word in _ABOUT_PEOPLE for word in words)
    for pair in pairwise(words):
        if pair in _PAIRS:
            return Hint(_PAIRS[pair], people or _PAIRS[pair] == "PERSON", words)
    for word in words:
        if word in _ENTITIES:
            return Hint(_ENTITIES[word], people or _ENTITIES[word] == "PERSON", words)
    return Hint(None, people, words)


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(character for character in folded if not unicodedata.combining(character))
