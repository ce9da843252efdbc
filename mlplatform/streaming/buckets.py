"""Which part of the messages one belongs to: versions share a stream by buckets of keys."""

from hashlib import blake2b

BUCKETS = 100
"""One bucket for each percent that a rollout can move."""


def bucket_of(key: bytes) -> int:
    """Return the bucket of a key: 0 to 99, the same for ever and everywhere, and evenly spread over keys.

    BLAKE2b (RFC 7693) rather than Python's ``hash``, which differs between processes, or a CRC, whose last digits are not
    evenly spread over counting keys.
    """
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") % BUCKETS
