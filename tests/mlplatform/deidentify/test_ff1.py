"""FF1 against the samples that NIST publishes, and what the standard promises of any input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.deidentify.ff1 import MIN_DOMAIN, Ff1

KEY = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TWEAK = "39383736353433323130"
TWEAK_36 = "3737373770717273373737"
SAMPLES = [
    (16, 10, "", "0123456789", "2433477484"),
    (16, 10, TWEAK, "0123456789", "6124200773"),
    (16, 36, TWEAK_36, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
    (24, 10, "", "0123456789", "2830668132"),
    (24, 10, TWEAK, "0123456789", "2496655549"),
    (24, 36, TWEAK_36, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
    (32, 10, "", "0123456789", "6657667009"),
    (32, 10, TWEAK, "0123456789", "1001623463"),
    (32, 36, TWEAK_36, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
]


@pytest.mark.parametrize(("size", "radix", "tweak", "plain", "sealed"), SAMPLES)
def test_the_samples_of_nist(size, radix, tweak, plain, sealed):
    cipher = Ff1(bytes.fromhex(KEY)[:size], radix)
    numerals = [DIGITS.index(character) for character in plain]
    done = cipher.encrypt(numerals, bytes.fromhex(tweak))
    assert "".join(DIGITS[numeral] for numeral in done) == sealed
    assert cipher.decrypt(done, bytes.fromhex(tweak)) == numerals


@given(
    st.integers(2, 300).flatmap(
        lambda radix: st.tuples(st.just(radix), st.lists(st.integers(0, radix - 1), min_size=2, max_size=60))
    ),
    st.binary(max_size=40),
)
def test_any_numerals_come_back(case, tweak):
    radix, numerals = case
    cipher = Ff1(bytes.fromhex(KEY), radix)
    if radix ** len(numerals) < MIN_DOMAIN:
        with pytest.raises(ValueError, match="too few"):
            cipher.encrypt(numerals, tweak)
        return
    done = cipher.encrypt(numerals, tweak)
    assert len(done) == len(numerals)
    assert all(0 <= numeral < radix for numeral in done)
    assert cipher.decrypt(done, tweak) == numerals


def test_numerals_and_radix_are_checked():
    with pytest.raises(ValueError, match="not below"):
        Ff1(bytes(16), 10).encrypt([1, 2, 3, 4, 5, 10])
    with pytest.raises(ValueError, match="radix"):
        Ff1(bytes(16), 1)
