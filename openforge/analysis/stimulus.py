"""What a simulated trace is given: classes, secrets, masks and inputs, cycle by cycle.

Everything random is a function of the key and of (batch, slot, word): SplitMix64 of a counter, so
that any trace can be made again from the seed and its number alone, in any order and on any number
of processors. A slot is one vector of 512 random bits, a bit a trace of the batch.

*Source:* Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

LANES = 512
"""Traces of a batch."""

WORDS = LANES // 64
FRESH = 1 << 31
CLASS_SLOT = 0
GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class Draw(IntEnum):
    """How a variable gets its bit."""

    RANDOM = 0  # uniform, the same kind in both classes
    SECRET = 1  # the bit `x` in the fixed class, uniform in the random class
    XOR = 2  # of the variables `x` and `y`
    SHARE = 3  # bit `y` of the share group `x`
    CLASS = 4  # 0 in the first class, 1 in the second
    CONSTANT = 5  # `x`


class Sum(IntEnum):
    """What arithmetic shares add up to."""

    FIXED = 0
    RANDOM = 1
    BY_CLASS = 2  # fixed in the fixed class, random in the random one


@dataclass(frozen=True)
class Variable:
    """A bit that is drawn once a trace; `slot` is where its randomness comes from."""

    draw: Draw
    x: int = 0
    y: int = 0
    slot: int = 0


@dataclass(frozen=True)
class ShareGroup:
    """Arithmetic shares: `n_shares` numbers of `width` bits, uniform with a given sum.

    `sum` says what their sum modulo `modulus` is: the number `fixed`, or uniform. `slot` is the
    first of 64 slots a share. Bit b of share s is bit ``s * width + b`` of the group.
    """

    modulus: int
    fixed: int
    n_shares: int
    width: int
    slot: int
    sum: Sum = Sum.BY_CLASS


Source = int
"""Of a bit that changes: 0, 1, 2 + the number of a variable, or `FRESH` + a slot."""


@dataclass(frozen=True)
class Stimulus:
    """The stimuli of all traces.

    Attributes
    ----------
    n_cycles
        Cycles of a trace. Cycle -1, the last of the prologue, is what cycle 0 is compared with.
    prologue
        Values of all input nets in each cycle before the trace begins, the same in every trace.
    events
        For each cycle, the input nets that get another value: a source by net.
    pokes
        Registers that hold a secret before the trace begins, by net.
    n_slots
        Slots in a batch.
    """

    n_cycles: int
    n_slots: int
    variables: tuple[Variable, ...]
    groups: tuple[ShareGroup, ...]
    prologue: tuple[Mapping[int, bool], ...]
    events: tuple[Mapping[int, Source], ...]
    pokes: Mapping[int, Source] = field(default_factory=dict)

    @property
    def constants(self) -> dict[int, bool]:
        """The input nets that never change from the last cycle of the prologue on."""
        moving = {net for cycle in self.events for net in cycle}
        return {net: value for net, value in self.prologue[-1].items() if net not in moving}


def key_of(seed: int, campaign: int) -> int:
    """The key of the random bits of one of several campaigns with the same seed."""
    words = np.array([seed, campaign], np.uint64)
    first = mixed(np.asarray(words[:1] + GAMMA))
    second = np.asarray((words[1:] + np.uint64(1)) * GAMMA)
    return int(mixed(np.asarray(first ^ second))[0])


def random_words(
    key: int, batches: NDArray[np.uint64], slot: int, n_slots: int
) -> NDArray[np.uint64]:
    """The random vectors of a slot in some batches: uint64[n, 8]."""
    at = batches.astype(np.uint64) * np.uint64(n_slots) + np.uint64(slot)
    word = at[:, None] * np.uint64(WORDS) + np.arange(1, WORDS + 1, dtype=np.uint64)
    return mixed(np.asarray(np.uint64(key) + word * GAMMA, np.uint64))


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64, of each word."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def classes_of(key: int, first: int, n_batches: int, n_slots: int) -> NDArray[np.bool_]:
    """The class of each trace of some batches, True for the random class: bool[n * 512]."""
    batches = np.arange(first, first + n_batches, dtype=np.uint64)
    return bits_of(random_words(key, batches, CLASS_SLOT, n_slots))


def bits_of(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """The bits of words, the least significant first: bool[..., 64 n] flattened."""
    packed = np.ascontiguousarray(words).astype("<u8").view(np.uint8)
    return np.unpackbits(packed.reshape(-1), bitorder="little").astype(bool)
