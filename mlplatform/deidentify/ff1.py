"""Format-preserving encryption: FF1 of NIST SP 800-38G, over AES.

FF3 and FF3-1 are not offered: NIST withdrew them from the second draft of revision 1 after the attacks on them.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MIN_DOMAIN = 1_000_000
"""Fewest possible values that revision 1 of the standard admits: among fewer, a value can be found by trying."""
_ROUNDS = 10
_MAX_LENGTH = 4_096


class Ff1:
    """One key and radix. Numerals are integers below the radix."""

    def __init__(self, key: bytes, radix: int) -> None:
        """Take a key of 16, 24 or 32 bytes.

        Raises:
            ValueError: the radix is not from 2 to 65,536.
        """
        if not 2 <= radix <= 2**16:
            raise ValueError("the radix has to be from 2 to 65536")
        self._aes = algorithms.AES(key)
        self._radix = radix

    def encrypt(self, numerals: Sequence[int], tweak: bytes = b"") -> list[int]:
        """Return as many numerals.

        Raises:
            ValueError: there are too few numerals for this radix, or one is not below it.
        """
        a, b = self._halves(numerals)
        for number in range(_ROUNDS):
            a, b = b, self._plus(a, self._round(number, b, len(numerals), tweak), +1)
        return a + b

    def decrypt(self, numerals: Sequence[int], tweak: bytes = b"") -> list[int]:
        """Return what was encrypted with the same key and tweak.

        Raises:
            ValueError: there are too few numerals for this radix, or one is not below it.
        """
        a, b = self._halves(numerals)
        for number in reversed(range(_ROUNDS)):
            a, b = self._plus(b, self._round(number, a, len(numerals), tweak), -1), a
        return a + b

    def _halves(self, numerals: Sequence[int]) -> tuple[list[int], list[int]]:
        length = len(numerals)
        if not 2 <= length <= _MAX_LENGTH or self._radix**length < MIN_DOMAIN:
            raise ValueError(f"{length} numerals of radix {self._radix} are too few to hide one among (or too many)")
        if any(not 0 <= numeral < self._radix for numeral in numerals):
            raise ValueError("a numeral is not below the radix")
        return list(numerals[: length // 2]), list(numerals[length // 2 :])

    def _plus(self, numerals: list[int], y: int, sign: int) -> list[int]:
        modulus = self._radix ** len(numerals)
        return self._numerals((self._number(numerals) + sign * y) % modulus, len(numerals))

    def _round(self, number: int, half: list[int], length: int, tweak: bytes) -> int:
        """Return y of steps 6 i to v of algorithm 7, for one half of all numerals."""
        longer = length - length // 2
        byte_count = -(-(self._radix**longer - 1).bit_length() // 8)
        block = 4 * -(-byte_count // 4) + 4
        p = b"\x01\x02\x01" + self._radix.to_bytes(3, "big") + b"\x0a" + bytes([length // 2 % 256])
        p += length.to_bytes(4, "big") + len(tweak).to_bytes(4, "big")
        q = tweak + b"\x00" * ((-len(tweak) - byte_count - 1) % 16) + bytes([number])
        q += self._number(half).to_bytes(byte_count, "big")
        r = self._last_block(p + q)
        s = r
        for index in range(1, -(-block // 16)):
            s += self._block(bytes(x ^ y for x, y in zip(r, index.to_bytes(16, "big"), strict=True)))
        return int.from_bytes(s[:block], "big")

    def _last_block(self, content: bytes) -> bytes:
        """Return the CBC-MAC of whole blocks (PRF, algorithm 6)."""
        encryptor = Cipher(self._aes, modes.CBC(b"\x00" * 16)).encryptor()
        return encryptor.update(content)[-16:]

    def _block(self, content: bytes) -> bytes:
        # One block under AES is what the standard calls CIPH; ECB over more would be a mistake.
        return Cipher(self._aes, modes.ECB()).encryptor().update(content)  # noqa: S305

    def _number(self, numerals: Sequence[int]) -> int:
        number = 0
        for numeral in numerals:
            number = number * self._radix + numeral
        return number

    def _numerals(self, number: int, length: int) -> list[int]:
        numerals = []
        for _ in range(length):
            number, numeral = divmod(number, self._radix)
            numerals.append(numeral)
        return numerals[::-1]
