"""Labelled data that others' packages make: presidio-evaluator's sentences, and Faker's columns by locale."""

from collections.abc import Callable
from typing import Any

LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES")
SENTENCE_KINDS = {
    "PERSON": "PERSON",
    "EMAIL_ADDRESS": "EMAIL_ADDRESS",
    "PHONE_NUMBER": "PHONE_NUMBER",
    "CREDIT_CARD": "CREDIT_CARD",
    "IBAN_CODE": "IBAN_CODE",
    "US_SSN": "US_SSN",
    "IP_ADDRESS": "IP_ADDRESS",
    "STREET_ADDRESS": "STREET_ADDRESS",
}


def sentences(locale: str, count: int) -> list[tuple[str, set[str], bool]]:
    """Return sentences, the kinds in each, and whether all people in it have a given and a family name."""
    import contextlib
    import io
    import warnings

    from presidio_evaluator.data_generator import PresidioSentenceFaker

    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        faker = PresidioSentenceFaker(locale, lower_case_ratio=0.0, random_seed=1)
        samples = faker.generate_new_fake_sentences(count)
    made = []
    for sample in samples:
        kinds = {SENTENCE_KINDS[span.entity_type] for span in sample.spans if span.entity_type in SENTENCE_KINDS}
        people = [span.entity_value for span in sample.spans if span.entity_type == "PERSON"]
        made.append((sample.full_text, kinds, all(" " in name.strip() for name in people)))
    return made


def columns(locale: str, rows: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return columns under names that say nothing and under names that do, and the kinds of those that are personal."""
    from faker import Faker

    faker = Faker(locale)
    faker.seed_instance(1)
    personal: dict[str, tuple[str, str, Callable[[], Any]]] = {
        "PERSON": ("a1", "customer_name", faker.name),
        "EMAIL_ADDRESS": ("a2", "email", faker.email),
        "PHONE_NUMBER": ("a3", "phone", faker.phone_number),
        "CREDIT_CARD": ("a4", "card_number", lambda: faker.credit_card_number("visa")),
        "IBAN_CODE": ("a5", "iban", faker.iban),
        "STREET_ADDRESS": ("a6", "street", faker.street_address),
        "IP_ADDRESS": ("a7", "client_ip", faker.ipv4_public),
    }
    nothing: dict[str, Callable[[], Any]] = {
        "company": faker.company,
        "city": faker.city,
        "job": faker.job,
        "colour": faker.color_name,
        "uuid": faker.uuid4,
        "day": lambda: faker.date(),
        "amount": lambda: f"{faker.pyfloat(min_value=0, max_value=9999, right_digits=2)}",
        "number": lambda: str(faker.random_int(10**8, 10**10)),
        "sentence": faker.sentence,
        "sku": lambda: faker.bothify("??-#####"),
    }
    data: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    for kind, (opaque, telling, make) in personal.items():
        for name in (opaque, telling):
            data[name] = [str(make()) for _ in range(rows)]
            labels[name] = kind
    data |= {name: [str(make()) for _ in range(rows)] for name, make in nothing.items()}
    return data, labels
