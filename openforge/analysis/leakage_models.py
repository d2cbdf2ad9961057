"""What the power of an AES is guessed to depend on, for each value of a key byte.

A model puts each trace into a class by known data alone, and predicts a number for each class and
guess; an attack then never handles a matrix of traces by guesses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from openforge.analysis import aes
from openforge.analysis.aes import BLOCK, INV_SBOX, SBOX, SHIFT_ROWS, Bytes

GUESSES = 256
_BYTE = np.arange(256, dtype=np.uint8)
_WEIGHT = np.bitwise_count(_BYTE)
Classes = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Model:
    """One way in which a register or a bus may leak a key byte.

    `needs` is the data that is known to the attacker. `whole`: all of the block's 16 bytes must be
    there, as other bytes than the attacked one are looked at, or the key is one of 16 bytes.
    `last_round`: what is found is the last round key. `pair`: the class is a pair of bytes.
    """

    name: str
    title: str
    positions: int
    needs: Literal["plaintext", "ciphertext"]
    n_classes: int
    table: Callable[[], Bytes]
    whole: bool = False
    last_round: bool = False
    pair: bool = False

    def available(self, width: int) -> int:
        """How many positions can be attacked, from 0 on, with data of `width` bytes.

        Raises ValueError when the data are not what the model can use.
        """
        fits = width == BLOCK if self.whole else 1 <= width <= self.positions
        if not fits:
            wanted = f"{BLOCK}" if self.whole else f"1 to {self.positions}"
            raise ValueError(f"{self.name} needs {wanted} bytes of {self.needs}, not {width}")
        return width

    def selector(self, data: Bytes, position: int) -> Classes:
        """The class of each trace: uint16[n], below `n_classes`.

        `data` : uint8[n, k]. The class is the byte at `position`; for a pair, that byte plus 256
        times the byte that stood in the register where this byte came from (see `last_round_hd`).

        Raises ValueError when the data or the position do not fit.
        """
        if data.ndim != 2 or data.dtype != np.uint8:
            raise ValueError(f"data are to be uint8[n, k], not {data.dtype}{list(data.shape)}")
        if not 0 <= position < self.available(data.shape[1]):
            raise ValueError(f"{self.name} has no position {position} in {data.shape[1]} bytes")
        found = data[:, position].astype(np.uint16)
        if self.pair:
            found |= data[:, SHIFT_ROWS[position]].astype(np.uint16) << np.uint16(8)
        return found

    def predictions(self, position: int) -> Bytes:
        """The predicted leakage of each class for each guess: uint8[n_classes, 256], read-only."""
        if not 0 <= position < self.positions:
            raise ValueError(f"{self.name} has positions 0 to {self.positions - 1}, not {position}")
        return self.table()

    def hypotheses(self, data: Bytes, position: int) -> Bytes:
        """The predicted leakage of each trace for each guess: uint8[n, 256].

        *Limits:* 256 bytes a trace; attacks use `selector` and `predictions`.
        """
        found: Bytes = self.predictions(position)[self.selector(data, position)]
        return found


@functools.cache
def _first_round() -> Bytes:
    return _kept(_WEIGHT[SBOX[_BYTE[:, None] ^ _BYTE]])


@functools.cache
def _first_round_hd() -> Bytes:
    entered = _BYTE[:, None] ^ _BYTE
    return _kept(_WEIGHT[entered ^ SBOX[entered]])


@functools.cache
def _last_round_hw() -> Bytes:
    return _kept(_WEIGHT[INV_SBOX[_BYTE[:, None] ^ _BYTE]])


@functools.cache
def last_round_hd() -> Bytes:
    """The predictions of `aes128_last_round`: uint8[65536, 256].

    ct[i] = SBOX[s[j]] ^ k[i] with j = SHIFT_ROWS[i] and s the state before the last round. Byte j
    of the register held s[j] and then holds ct[j], so what toggles there is
    HW(INV_SBOX[ct[i] ^ k[i]] ^ ct[j]): class ct[i] + 256 ct[j], guess k[i].
    """
    before = INV_SBOX[_BYTE[:, None] ^ _BYTE]
    return _kept(_WEIGHT[_BYTE[:, None, None] ^ before].reshape(65536, GUESSES))


def _kept(table: Bytes) -> Bytes:
    table.flags.writeable = False
    return table


_ALL = (
    Model(
        name="aes128_first_round",
        title="Hamming weight of the S-box output in the first round",
        positions=BLOCK,
        needs="plaintext",
        n_classes=256,
        table=_first_round,
    ),
    Model(
        name="aes128_first_round_hd",
        title="Hamming distance from the S-box input to its output in the first round",
        positions=BLOCK,
        needs="plaintext",
        n_classes=256,
        table=_first_round_hd,
    ),
    Model(
        name="aes128_last_round",
        title="Hamming distance in the state register from round 9 to the ciphertext",
        positions=BLOCK,
        needs="ciphertext",
        n_classes=65536,
        table=last_round_hd,
        whole=True,
        last_round=True,
        pair=True,
    ),
    Model(
        name="aes128_last_round_hw",
        title="Hamming weight of the S-box input in the last round",
        positions=BLOCK,
        needs="ciphertext",
        n_classes=256,
        table=_last_round_hw,
        whole=True,
        last_round=True,
    ),
    Model(
        name="aes_sbox",
        title="Hamming weight of the output of a single S-box",
        positions=1,
        needs="plaintext",
        n_classes=256,
        table=_first_round,
    ),
)
MODELS: Mapping[str, Model] = MappingProxyType({model.name: model for model in _ALL})
"""Every model by its name."""


def true_key(model: Model, key: bytes, position: int) -> int:
    """The guess that is right at `position` for the cipher's `key`.

    For models of the last round it is a byte of the last round key, which needs all 16 bytes.

    Raises ValueError when the key is too short or the position is not the model's.
    """
    guesses = aes.expand_key(key)[-1].tobytes() if model.last_round else key
    if not 0 <= position < min(len(guesses), model.positions):
        raise ValueError(f"no key byte {position} for {model.name} in a key of {len(key)} bytes")
    return guesses[position]
