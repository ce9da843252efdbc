import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mlplatform.deidentify import config
from mlplatform.deidentify.faults import DeidentifyFailed
from mlplatform.deidentify.operators import MASK, FormatPreserver, canonical, made
from mlplatform.deidentify.secrets import Key
from mlplatform.redaction.checksums import luhn_valid

KEY = Key(b"a key for nothing but tests")
OTHER = Key(b"another key for nothing but tests")
texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60).filter(str.strip)


def operator(secret=KEY, **options):
    return made(TypeAdapter(config.Operator).validate_python(options), {"k": secret}, lambda wanted: None)


def one(apply, value):
    (done,) = apply([value])
    return done


class TestMask:
    @given(texts)
    def test_nothing_is_left(self, value):
        assert one(operator(operator="mask"), value) == MASK

    @given(texts, st.integers(1, 4))
    def test_the_end_that_stays_is_the_smaller_part(self, value, kept):
        done = one(operator(operator="mask", keep_last=kept), value)
        assert done.startswith(MASK)
        left = done.removeprefix(MASK)
        assert canonical(value).endswith(left)
        assert 2 * len(left) < len(canonical(value))


class TestHash:
    hash = staticmethod(
        lambda secret=KEY, **more: operator(secret, operator="hash", key="k", **({"domain": "mail"} | more))
    )

    @given(texts)
    def test_the_same_key_and_domain_give_the_same_token_and_no_others_do(self, value):
        token = one(self.hash(), value)
        assert re.fullmatch(r"[0-9a-f]{32}", token)
        assert one(self.hash(), value) == token
        assert one(self.hash(domain="other"), value) != token
        assert one(self.hash(OTHER), value) != token

    def test_one_value_in_several_formats(self):
        apply = self.hash()
        assert len({one(apply, value) for value in (5, 5.0, "5", " 5 ", b"5")}) == 1
        assert one(apply, "é") == one(apply, "é")
        assert one(apply, "Ada") != one(apply, "ada")
        assert one(self.hash(fold_case=True), "Ada") == one(self.hash(fold_case=True), "ada")

    def test_a_known_token_stays_what_it_is(self):
        """Tokens of last year's data have to meet those of this year's: changing the derivation is a break."""
        assert one(self.hash(), "ada@example.com") == "18da9a468e56031acced0fbec87913d1"


class TestFormatPreserving:
    @given(st.text("0123456789 -+()", min_size=6, max_size=30))
    def test_the_form_stays_and_the_digits_come_back(self, value):
        value = canonical(value)
        assume(sum(character.isdigit() for character in value) >= 6)
        wanted = config.FormatPreserving(operator="format-preserving", key="k", domain="phone")
        preserver = FormatPreserver(wanted, KEY)
        done = preserver(value)
        assert re.sub(r"\d", "0", done) == re.sub(r"\d", "0", value)
        assert preserver.reverse(done) == value
        assert FormatPreserver(wanted, OTHER).reverse(done) != value or done == value

    @given(st.from_regex(r"4[0-9]{14}", fullmatch=True))
    def test_a_card_number_keeps_a_right_check_digit(self, body):
        number = next(body + digit for digit in "0123456789" if luhn_valid(body + digit))
        wanted = config.FormatPreserving(operator="format-preserving", key="k", domain="card", check_digit="luhn")
        preserver = FormatPreserver(wanted, KEY)
        assert luhn_valid(preserver(number))
        assert preserver.reverse(preserver(number)) == number

    def test_too_little_to_hide_is_refused_or_masked(self):
        options = {"operator": "format-preserving", "key": "k", "domain": "pin"}
        with pytest.raises(DeidentifyFailed, match="too few") as refused:
            one(operator(**options), "1234")
        assert "1234" not in refused.value.message
        assert one(operator(**options, too_short="mask"), "1234") == MASK


class TestGeneralise:
    @pytest.mark.parametrize(
        ("options", "value", "expected"),
        [
            ({"date": "year"}, "1980-05-12", "1980"),
            ({"date": "month"}, "1980-05-12T03:04:05Z", "1980-05"),
            ({"date": "decade"}, "1987-05", "1980s"),
            ({"band": 10}, 37, "[30, 40)"),
            ({"band": 10}, "-3", "[-10, 0)"),
            ({"band": 0.5}, 1.25, "[1, 1.5)"),
            ({"band": 10}, float("nan"), "*"),
            ({"keep_first": 3}, "10115", "101*"),
            ({"keep_first": 3}, "10", "*"),
            ({"ip_prefix": [24, 48]}, "93.184.216.34", "93.184.216.0/24"),
            ({"ip_prefix": [24, 48]}, "2001:db8:1:2::3", "2001:db8:1::/48"),
        ],
    )
    def test_values_say_less(self, options, value, expected):
        assert one(operator(operator="generalise", **options), value) == expected

    @pytest.mark.parametrize("options", [{"date": "year"}, {"band": 10}, {"ip_prefix": [24, 48]}])
    def test_what_is_something_else_is_told_without_showing_it(self, options):
        with pytest.raises(DeidentifyFailed) as refused:
            one(operator(operator="generalise", **options), "secret thing")
        assert "secret" not in refused.value.message

    @given(st.integers(-(10**6), 10**6), st.integers(1, 1000))
    def test_a_number_lies_in_its_band(self, number, width):
        low, high = map(float, re.findall(r"[-\d.e+]+", one(operator(operator="generalise", band=width), number)))
        assert low <= number < high


class TestRedact:
    def test_forms_and_names_go_and_the_rest_stays(self):
        apply = operator(operator="redact")
        done = one(apply, "Yesterday Grace Hopper called from +49 30 1234567 about order 17")
        assert done == "Yesterday [REDACTED:PERSON] called from [REDACTED:PHONE] about order 17"

    def test_long_text_is_read_to_its_end(self):
        text = "all is well here today " * 200 + "and ada@example.com met Grace Hopper there"
        done = one(operator(operator="redact"), text)
        assert "example.com" not in done
        assert "Hopper" not in done
        assert done.startswith("all is well here today")


def test_a_short_key_is_refused_and_no_key_shows_itself():
    from mlplatform.deidentify.keys import KeyUnavailable

    with pytest.raises(KeyUnavailable, match="too short"):
        Key(b"short")
    assert "nothing" not in repr(KEY)
