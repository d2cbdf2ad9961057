"""AES-128 against the vectors of FIPS 197 and another implementation."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from openforge.analysis import aes

B_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
B_PLAIN = bytes.fromhex("3243f6a8885a308d313198a2e0370734")
C_KEY, C_PLAIN = bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")


def rows(*blocks):
    return np.array([list(block) for block in blocks], dtype=np.uint8)


def test_the_tables_are_those_of_the_standard():
    """Some entries of figures 7 and 14, and that one table undoes the other."""
    assert [int(aes.SBOX[n]) for n in (0, 1, 0x53, 0x9A, 0xFF)] == [0x63, 0x7C, 0xED, 0xB8, 0x16]
    assert [int(aes.INV_SBOX[n]) for n in (0, 0x63, 0xED)] == [0x52, 0, 0x53]
    assert (aes.INV_SBOX[aes.SBOX] == np.arange(256)).all()
    assert aes.SHIFT_ROWS == (0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11)
    with pytest.raises(ValueError, match="read-only"):
        aes.SBOX[0] = 0


def test_the_vectors_of_the_standard():
    """Ciphertexts of appendices B and C.1."""
    assert aes.encrypt(rows(B_PLAIN), B_KEY).tobytes().hex() == "3925841d02dc09fbdc118597196a0b32"
    assert aes.encrypt(rows(C_PLAIN), C_KEY).tobytes().hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


def test_the_states_are_those_of_the_standard():
    """States at the start of rounds: 1, 2 and 10 of appendix B, and 10 of C.1."""
    states = aes.states(rows(B_PLAIN), B_KEY)
    assert states.shape == (11, 1, 16)
    assert states[0].tobytes().hex() == "193de3bea0f4e22b9ac68d2ae9f84808"
    assert states[1].tobytes().hex() == "a49c7ff2689f352b6b5bea43026a5049"
    assert states[9].tobytes().hex() == "eb40f21e592e38848ba113e71bc342d2"
    last = aes.states(rows(C_PLAIN), C_KEY)[9]
    assert last.tobytes().hex() == "bd6e7c3df2b5779e0b61216e8b10b689"


def test_the_key_schedule_of_the_standard_and_back():
    """Appendix A.1's last round key; the schedule backwards gives each key again."""
    assert aes.expand_key(B_KEY)[1].tobytes().hex() == "a0fafe1788542cb123a339392a6c7605"
    assert aes.expand_key(B_KEY)[-1].tobytes().hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"
    assert aes.expand_key(C_KEY)[-1].tobytes().hex() == "13111d7fe3944a17f307a78b4d2b30c5"
    for key in np.random.default_rng(1).integers(0, 256, (50, 16), dtype=np.uint8):
        assert (aes.key_from_last_round(aes.expand_key(key)[-1]) == key).all()


def test_many_blocks_equal_another_implementation():
    """Random blocks, all at once."""
    draw = np.random.default_rng(2)
    key, plain = draw.bytes(16), draw.integers(0, 256, (500, 16), dtype=np.uint8)
    other = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()
    assert aes.encrypt(plain, key).tobytes() == other.update(plain.tobytes())


@pytest.mark.parametrize("key", [bytes(15), bytes(32), np.zeros(16, dtype=np.int64)])
def test_other_keys_are_refused(key):
    """AES-128 has keys of 16 bytes."""
    with pytest.raises(ValueError, match="is to be 16 bytes"):
        aes.expand_key(key)


@pytest.mark.parametrize("shape", [(16,), (3, 15)])
def test_other_blocks_are_refused(shape):
    """Blocks are rows of 16 bytes."""
    with pytest.raises(ValueError, match=r"uint8\[n, 16\]"):
        aes.encrypt(np.zeros(shape, dtype=np.uint8), bytes(16))
