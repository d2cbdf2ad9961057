"""The bits that are drawn once a trace, in numpy: secrets by class, masks, arithmetic shares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.stimulus import LANES, WORDS, Draw, ShareGroup, Stimulus, Sum, bits_of

Words = NDArray[np.uint64]
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def variables(stimulus: Stimulus, classes: Words, slot: Callable[[int], Words]) -> list[Words]:
    """The variables of some batches, in their order: uint64[words] each.

    `classes` are the classes of the traces, and `slot` gives the random vectors of a slot.
    """
    groups = [_shares(group, classes, slot) for group in stimulus.groups]
    found: list[Words] = []
    for variable in stimulus.variables:
        constant = np.full_like(classes, _ALL if variable.x else np.uint64(0))
        match variable.draw:
            case Draw.RANDOM:
                value = slot(variable.slot)
            case Draw.SECRET:
                value = (slot(variable.slot) & classes) | (constant & ~classes)
            case Draw.XOR:
                value = found[variable.x] ^ found[variable.y]
            case Draw.SHARE:
                value = groups[variable.x][variable.y]
            case Draw.CLASS:
                value = classes
            case Draw.CONSTANT:
                value = constant
        found.append(value)
    return found


def _shares(group: ShareGroup, classes: Words, slot: Callable[[int], Words]) -> Words:
    """The bits of the shares of a group: uint64[n_shares * width, words]."""
    per_share = LANES // WORDS
    random = bits_of(classes).reshape(-1, LANES)
    if group.sum is not Sum.BY_CLASS:
        random = np.full_like(random, group.sum is Sum.RANDOM)

    def draw(share: int) -> Words:
        first = group.slot + share * per_share
        words = [slot(first + block).reshape(-1, WORDS) for block in range(per_share)]
        return _below(group.modulus, np.stack(words, axis=1).reshape(-1, LANES))

    q = np.uint64(group.modulus)
    left = np.where(random, draw(0), np.uint64(group.fixed))
    shares = []
    for share in range(1, group.n_shares):
        value = draw(share)
        left = np.where(left >= value, left - value, left + (q - value))
        shares.append(value)
    bits = []
    for value in (*shares, left):
        for bit in range(group.width):
            ones = (value >> np.uint64(bit) & np.uint64(1)).astype(bool)
            bits.append(np.packbits(ones.reshape(-1), bitorder="little").view(np.uint64))
    return np.array(bits)


def _below(modulus: int, random: Words) -> Words:
    """The high half of the product of `modulus` and 64 random bits."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    q_high, q_low = np.uint64(modulus >> 32), np.uint64(modulus & 0xFFFFFFFF)
    high, rest = random >> half, random & low
    middle = high * q_low + (rest * q_low >> half)
    other = rest * q_high + (middle & low)
    return np.asarray(high * q_high + (middle >> half) + (other >> half))
