"""AES-128 as attacks need it: tables, every round's state, and the key schedule both ways.

Everything is computed from the definition. Byte i of a block is row i mod 4 and column i // 4 of
the state. *Source:* FIPS 197.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

ROUNDS = 10
BLOCK = 16
_REDUCTION = 0x11B  # x^8 + x^4 + x^3 + x + 1, section 4.2
_CONSTANT = 0x63  # of the affine map, section 5.1.1


def _doubled(byte: int) -> int:
    """`byte` times x in GF(2^8)."""
    return byte << 1 ^ (_REDUCTION if byte & 0x80 else 0)


def _sbox() -> Bytes:
    """The S-box: the inverse in GF(2^8), then the affine map, section 5.1.1."""
    powers = [1]  # of x + 1, which generates all elements but zero
    for _ in range(254):
        powers.append(powers[-1] ^ _doubled(powers[-1]))
    inverse = np.zeros(256, dtype=np.uint8)
    inverse[powers] = [powers[-n % 255] for n in range(255)]
    found = inverse ^ np.uint8(_CONSTANT)
    for turn in range(1, 5):
        found ^= inverse << np.uint8(turn) | inverse >> np.uint8(8 - turn)
    return found


def _frozen(table: Bytes) -> Bytes:
    table.flags.writeable = False
    return table


SBOX: Bytes = _frozen(_sbox())
"""uint8[256], section 5.1.1."""
INV_SBOX: Bytes = _frozen(np.argsort(SBOX).astype(np.uint8))
"""uint8[256], section 5.3.2."""
SHIFT_ROWS: tuple[int, ...] = tuple(i % 4 + 4 * ((i // 4 + i % 4) % 4) for i in range(BLOCK))
"""Byte i after ShiftRows is byte ``SHIFT_ROWS[i]`` before it, section 5.1.2."""
_XTIME: Bytes = _frozen(np.array([_doubled(byte) for byte in range(256)], dtype=np.uint8))


@functools.cache
def _round_constants() -> tuple[int, ...]:
    found = [1]
    while len(found) < ROUNDS:
        found.append(_doubled(found[-1]))
    return tuple(found)


def _block(name: str, value: bytes | Bytes) -> Bytes:
    given = np.frombuffer(value, dtype=np.uint8) if isinstance(value, bytes) else value
    if given.shape != (BLOCK,) or given.dtype != np.uint8:
        raise ValueError(f"{name} is to be {BLOCK} bytes, not {given.dtype}{list(given.shape)}")
    return given


def _turned(word: Bytes, number: int) -> Bytes:
    """SubWord(RotWord(`word`)) with the round constant of round `number` (from 1) added."""
    mixed = SBOX[np.roll(word, -1)]
    mixed[0] ^= _round_constants()[number - 1]
    return mixed


def expand_key(key: bytes | Bytes) -> Bytes:
    """The round keys of an AES-128 key: uint8[11, 16], the key itself first.

    *Source:* FIPS 197, section 5.2. Raises ValueError for anything but 16 bytes.
    """
    keys = np.empty((ROUNDS + 1, 4, 4), dtype=np.uint8)  # round, column, row
    keys[0] = _block("the key", key).reshape(4, 4)
    for number in range(1, ROUNDS + 1):
        keys[number, 0] = keys[number - 1, 0] ^ _turned(keys[number - 1, 3], number)
        for column in range(1, 4):
            keys[number, column] = keys[number - 1, column] ^ keys[number, column - 1]
    return keys.reshape(ROUNDS + 1, BLOCK)


def key_from_last_round(last: bytes | Bytes) -> Bytes:
    """The AES-128 key, uint8[16], whose last round key is `last`: the key schedule backwards.

    *Source:* FIPS 197, section 5.2. Raises ValueError for anything but 16 bytes.
    """
    words = _block("the last round key", last).reshape(4, 4).copy()
    for number in range(ROUNDS, 0, -1):
        words[1:] ^= words[:-1]  # numpy reads all of it before it writes
        words[0] ^= _turned(words[3], number)
    return words.reshape(BLOCK)


def _mixed(state: Bytes) -> Bytes:
    """MixColumns of uint8[n, 16], section 5.1.3."""
    rows = state.reshape(-1, 4, 4)  # block, column, row
    below = np.roll(rows, -1, axis=2)
    every = np.bitwise_xor.reduce(rows, axis=2, keepdims=True)
    mixed: Bytes = rows ^ every ^ _XTIME[rows ^ below]
    return mixed.reshape(-1, BLOCK)


def states(plaintexts: Bytes, key: bytes | Bytes) -> Bytes:
    """The states after each AddRoundKey: uint8[11, n, 16], what a one-round register holds.

    `plaintexts` : uint8[n, 16]. The first entry is plaintext XOR key, the last the ciphertext.
    *Source:* FIPS 197, section 5.1 (``Cipher``). Raises ValueError for other shapes.
    """
    if plaintexts.ndim != 2 or plaintexts.shape[1] != BLOCK or plaintexts.dtype != np.uint8:
        given = f"{plaintexts.dtype}{list(plaintexts.shape)}"
        raise ValueError(f"plaintexts are to be uint8[n, {BLOCK}], not {given}")
    keys = expand_key(key)
    found: Bytes = np.empty((ROUNDS + 1, len(plaintexts), BLOCK), dtype=np.uint8)
    found[0] = plaintexts ^ keys[0]
    for number in range(1, ROUNDS + 1):
        shifted = SBOX[found[number - 1]][:, SHIFT_ROWS]
        mixed = _mixed(shifted) if number < ROUNDS else shifted
        found[number] = mixed ^ keys[number]
    return found


def encrypt(plaintexts: Bytes, key: bytes | Bytes) -> Bytes:
    """The ciphertexts, uint8[n, 16], of `plaintexts`, uint8[n, 16], under one AES-128 key.

    *Source:* FIPS 197, section 5.1. Raises ValueError for other shapes.
    """
    ciphertexts: Bytes = states(plaintexts, key)[-1]
    return ciphertexts
