"""Labelled data that others' packages make: presidio-evaluator's sentences, and Faker's columns by locale."""

from collections.abc import Callable
from typing import Any

LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES")
NAME_SETS = {
    "en_US": ("American", "English", "Australian", "Scottish"),
    "de_DE": ("German",),
    "fr_FR": ("French",),
    "es_ES": ("Spanish",),
    "it_IT": ("Italian",),
    "nl_NL": ("Dutch",),
    "pl_PL": ("Polish",),
}
"""By locale, which people of presidio-evaluator's list are from there. The rules for names in sentences were made with the first
two, and with the templates of :data:`DEVELOPED_ON`; the others were not looked at."""
DEVELOPED_ON = 0
"""Templates at even places were looked at when the rules were made, those at odd places are what is reported."""
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


def sentences(locale: str, count: int, *, held_out: bool = True) -> list[tuple[str, set[str]]]:
    """Return sentences with people of a locale, and the kinds in each."""
    import contextlib
    import io
    import random
    import warnings

    from presidio_evaluator.data_generator import PresidioSentenceFaker, raw_data_dir
    from presidio_evaluator.data_generator.faker_extensions.datasets import load_fake_person_df

    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        random.seed(1)  # the list of people draws middle initials as it is read
        people = load_fake_person_df()
        templates = (raw_data_dir / "templates.txt").read_text(encoding="utf-8").splitlines()
        faker = PresidioSentenceFaker(
            locale,
            lower_case_ratio=0.0,
            sentence_templates=[line.strip() for line in templates[DEVELOPED_ON + held_out :: 2]],
            # Without its own column for them, which has the name of the list, nationalities are Faker's.
            base_records=people[people["nationality"].isin(NAME_SETS[locale])].drop(columns="nationality"),
            random_seed=1,
        )
        samples = faker.generate_new_fake_sentences(count)
    return [
        (
            sample.full_text,
            {SENTENCE_KINDS[one.entity_type] for one in sample.spans if one.entity_type in SENTENCE_KINDS},
        )
        for sample in samples
    ]


def examples() -> list[str]:
    """Return the sentences that spaCy ships to try its languages with."""
    import importlib
    import pkgutil

    from spacy import lang

    found: list[str] = []
    for language in pkgutil.iter_modules(lang.__path__):
        try:
            found += importlib.import_module(f"spacy.lang.{language.name}.examples").sentences
        except ModuleNotFoundError:
            continue
    return found


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
