"""Recognising a person by keyed hashes alone."""

import hashlib
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.privacy.subjects.matching import Matcher, Unsearchable, identifier, words

KEY = b"key"


def hashed(data: bytes) -> str:
    return hashlib.sha256(KEY + data).hexdigest()


def matcher(*identifiers: str) -> Matcher:
    known = [identifier(text) for text in identifiers]
    return Matcher(hashed, [hashed(whole.encode()) for whole, _ in known], [length for _, length in known])


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("ada.quill@example.com", "mail to <Ada.Quill@Example.COM>, thanks"),
        ("ada.quill@example.com", '{"mail":"ada.quill@example.com"}'),
        ("ada.quill@example.com", "GET /users?mail=ada.quill%40example.com HTTP/1.1"),
        ("Ada Quill", '"name": "ADA   quill",'),
        ("Ada Quill", "ada,quill"),
        ("C-100777", "customer=C-100777;"),
        ("C-100777", "/customers/c-100777/orders"),
        ("+49 30 1234567", "phone +49 (30) 1234567."),
        ("Zoë Müller", json.dumps({"name": "Zoë Müller"})),
        ("Zoë Müller", "Zoe\u0308 MU\u0308LLER"),
        ("１２３４５６", "id 123456"),
    ],
)
def test_a_person_is_found_however_it_is_written(identifier: str, text: str) -> None:
    assert matcher(identifier).in_text(text)


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("C-100777", "C-1007771"),
        ("C-100777", "XC-100777"),
        ("Ada Quill", "Ada B. Quill"),
        ("ada.quill@example.com", "bada.quill@example.com"),
        ("ada.quill@example.com", "ada.quill@example.community"),
        ("100777", "1007.77"),
    ],
)
def test_others_are_not(identifier: str, text: str) -> None:
    assert not matcher(identifier).in_text(text)


@pytest.mark.parametrize("short", ["", "   ", "Bo", "1234", "a b c d", "....---", "@@@@@@@"])
def test_what_could_mean_anybody_is_refused_without_saying_it(short: str) -> None:
    with pytest.raises(Unsearchable, match="letters and digits") as caught:
        identifier(short)
    assert not short.strip() or short not in str(caught.value)
    with pytest.raises(Unsearchable, match="more than 8 words"):
        identifier("one two three four five six seven eight nine")


def test_values_of_any_kind() -> None:
    found = matcher("100777", "Ada Quill")
    assert found.in_value({"a": [1, {"b": (100777,)}]})
    assert found.in_value({"ada quill": 1})
    assert found.in_value(b"ADA QUILL")
    assert not found.in_value([100777.0, True, None, 7, "ada", "quill"])


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["C-100777", "ada.quill@example.com", "Zoë Müller"]))
def test_what_is_around_it_in_blanks_does_not_matter(before: str, after: str, person: str) -> None:
    found = matcher(person)
    assert found.in_text(f"{before} {person} {after}")
    assert found.in_value(json.dumps([before, person, after]))
    assert found.in_text(f"x/{quote(person)}")


@given(st.text())
def test_words_are_stable(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found
