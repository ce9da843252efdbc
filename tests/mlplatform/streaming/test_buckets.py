"""Buckets: stable for ever, and evenly spread whatever the keys look like."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.streaming.buckets import BUCKETS, bucket_of


@given(st.binary(max_size=200))
def test_a_bucket_is_one_of_them_and_always_the_same(key: bytes) -> None:
    assert bucket_of(key) == bucket_of(bytes(key))
    assert 0 <= bucket_of(key) < BUCKETS


def test_buckets_never_change() -> None:
    """Known values: another hash would send keys to other versions in the middle of a rollout."""
    assert [bucket_of(key) for key in (b"", b"1", b"order-17", "größe".encode())] == [76, 10, 36, 5]


def test_another_process_sees_the_same_buckets() -> None:
    code = "from mlplatform.streaming.buckets import bucket_of; print([bucket_of(b'%d' % n) for n in range(20)])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str([bucket_of(b"%d" % number) for number in range(20)])


KEYS = {
    "counting": lambda n: b"%d" % n,
    "steps of a hundred": lambda n: b"%d" % (n * 100),
    "padded": lambda n: b"customer-%012d" % n,
    "little endian": lambda n: n.to_bytes(8, "little"),
    "sequence of a stream": lambda n: b"orders:%d" % (7_000_000 + n),
}


@pytest.mark.parametrize("keys", KEYS)
def test_keys_are_spread_evenly(keys: str) -> None:
    """Chi-squared over 100 buckets; for a good hash it exceeds 161 once in ten thousand (99 degrees of freedom)."""
    count = 20_000
    found = Counter(bucket_of(KEYS[keys](number)) for number in range(count))
    expected = count / BUCKETS
    assert sum((found[bucket] - expected) ** 2 / expected for bucket in range(BUCKETS)) < 161
