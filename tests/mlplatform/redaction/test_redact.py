import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlplatform.redaction import redact
from mlplatform.redaction.text import is_secret_name

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB0\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to ada@example.com.", "to [REDACTED:EMAIL]."),
        ("to müller+x@büro.example", "to [REDACTED:EMAIL]"),
        ("<mailto:a.b'c@sub.example.co.uk>", "<mailto:[REDACTED:EMAIL]>"),
        ("paid by 4111 1111 1111 1111, thanks", "paid by [REDACTED:CARD], thanks"),
        ("5500-0000-0000-0004", "[REDACTED:CARD]"),
        ("amex 378282246310005", "amex [REDACTED:CARD]"),
        ("amex 3782 822463 10005", "amex [REDACTED:CARD]"),
        ("IBAN DE89 3704 0044 0532 0130 00 AND MORE", "IBAN [REDACTED:IBAN] AND MORE"),
        ("GB82WEST12345698765432", "[REDACTED:IBAN]"),
        ("NO9386011117947 DE89370400440532013000", "[REDACTED:IBAN] [REDACTED:IBAN]"),
        ("ssn 536-90-4399", "ssn [REDACTED:SSN]"),
        ("+49 30 1234567", "[REDACTED:PHONE]"),
        ("+1 (555) 234-5678", "[REDACTED:PHONE]"),
        ("call 555-234-5678 or (555) 234-5678", "call [REDACTED:PHONE] or [REDACTED:PHONE]"),
        ("ring 020 7946 0958", "ring [REDACTED:PHONE]"),
        ('{"phone": "5552345678"}', '{"phone": "[REDACTED:PHONE]"}'),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: [REDACTED:TOKEN]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [REDACTED:TOKEN]"),
        ("got 'bearer AbC-123_456~' back", "got 'bearer [REDACTED:TOKEN]' back"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def", "[REDACTED:JWT]"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "[REDACTED:JWT]"),
        ("password=hunter2 user=ada", "password=[REDACTED:SECRET] user=ada"),
        ("password=hun,ter2,user=ada", "password=[REDACTED:SECRET],user=ada"),
        ('{"db_password": "a\\"b c", "n": 1}', '{"db_password": "[REDACTED:SECRET]", "n": 1}'),
        ("api_key='x y z' on", "api_key='[REDACTED:SECRET]' on"),
        ("X-Api-Key: abc", "X-Api-Key: [REDACTED:SECRET]"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = [REDACTED:SECRET]"),
        ("AKIAIOSFODNN7EXAMPLE", "[REDACTED:API_KEY]"),
        ("ghp_" + "a1" * 18, "[REDACTED:API_KEY]"),
        (f"key {KEY} end", "key [REDACTED:PRIVATE_KEY] end"),
        ("-----BEGIN PRIVATE KEY-----\nMHcCAQ cut off", "[REDACTED:PRIVATE_KEY]"),
        ("postgresql://ada:p@ss@db.example/x", "postgresql://[REDACTED:CREDENTIALS]@db.example/x"),
        ("https://ghp_token@github.com/o/r", "https://[REDACTED:CREDENTIALS]@github.com/o/r"),
    ],
)
def test_what_must_not_be_written_down_is_replaced(text, expected):
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "loss=+1.23456789012 lr=0.001 epoch 12 of 100",
        "2026-11-24T03:12:45.123Z took 1234567890 ns",
        "1700000000000 1700000000000000000",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "4111111111111112 fails its check digit",
        "uuid 0190b4d2-7a9c-7c53-8f1e-3c1f0f5b1a2b",
        "listening on 127.0.0.1:8080",
        "max_tokens=100 tokens: 5",
        "[14.23, 1.71, 2.43, 15.6, 127.0, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065.0]",
        "51 35 14 02 49 30 14 02 47 32 13 02",
        "pandas 2.3.3, numpy 2.4.6, scikit-learn 1.9.1",
        "group:default/risk owns model wine version 3",
    ],
)
def test_ordinary_log_text_is_left_alone(text):
    assert redact(text) == text


def test_addresses_are_redacted_on_request_only():
    assert redact("from 192.168.10.7, version 1.2.3", addresses=True) == "from [REDACTED:IP], version 1.2.3"


@pytest.mark.parametrize("name", ["password", "db_password", "apiKey", "accessToken", "client-secret", "Cookie"])
def test_names_of_secrets_are_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["tokens", "secretary", "keyId", "model", "passed"])
def test_other_names_are_not_secrets(name):
    assert not is_secret_name(name)


FRAGMENTS = st.sampled_from(
    [
        *("a", "a.", "a@", "@", ".", "eyJ", "-eyJa", "://", "://a:", "password=", 'password="', "password='", "token:"),
        *("\\", '"', "1", "1 ", "4111", "-", "(", ")", "+1", "0", "012 ", "-----BEGIN PRIVATE KEY-----", "DE89"),
        *("DE89 3704 ", "Bearer ", "authorization: ", "tel: ", "[REDACTED:EMAIL]", " ", "\n", ",", "ada@example.com"),
        *("é", "AKIA", "ghp_", "_"),
    ]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(FRAGMENTS, min_size=1, max_size=4))
@example(["password=", '"', "\\"])
@example(["DE89 3704 "])
def test_hostile_text_costs_linear_time(fragments):
    """A pattern that backtracks quadratically would need minutes for this, not a fraction of a second."""
    text = "".join(fragments)
    text = text * (60_000 // len(text))
    started = time.process_time()
    redact(text, addresses=True)
    assert time.process_time() - started < 2


@settings(deadline=None, max_examples=400)
@given(st.lists(FRAGMENTS | st.text(max_size=8), max_size=12).map("".join))
def test_redacting_twice_changes_nothing(text):
    once = redact(text, addresses=True)
    assert redact(once, addresses=True) == once


@settings(deadline=None)
@given(
    before=st.text(alphabet="xyz \n\"'(,;:", max_size=20),
    local=st.from_regex(r"[a-z][a-z0-9._+-]{0,60}", fullmatch=True),
    domain=st.from_regex(r"([a-z][a-z0-9-]{0,10}\.){1,3}[a-z]{2,10}", fullmatch=True),
    after=st.text(alphabet=" \n\"')>,;:", max_size=20),
)
def test_no_address_survives_whatever_stands_around_it(before, local, domain, after):
    assert f"{local}@{domain}" not in redact(f"{before} {local}@{domain}{after}")
