"""Conditions that are true now and then: single bits, rare coincidences, zeros, comparisons."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Style(StrEnum):
    """The form of a condition. RARE fixes 8 to 16 bits, TRIGGER 24 to 32: no random run has it."""

    BIT = "one bit"
    RARE = "rare"
    FEW = "few bits"
    TRIGGER = "trigger"
    COMPARE = "comparison"
    ZERO = "zero"


@dataclass(frozen=True)
class Condition:
    """An expression that is true now and then, and how many bits it fixes (0: a comparison)."""

    text: str
    style: Style
    bits: int


_BITS = {Style.BIT: (1, 1), Style.FEW: (2, 5), Style.RARE: (8, 16), Style.TRIGGER: (24, 32)}


def condition(
    style: Style,
    names: Sequence[str],
    widths: Mapping[str, int],
    values: Mapping[str, int],
    dice: random.Random,
) -> Condition | None:
    """A condition on the registers or inputs `names` that holds for `values`; None without one."""
    bits = [(name, n) for name in names for n in range(widths[name])]
    if style is Style.COMPARE:
        return _comparison(names, widths, values, dice)
    if style is Style.ZERO:
        return _zero(names, widths, values, dice)
    low, high = _BITS[style]
    if len(bits) < low:
        return None
    count = dice.randint(low, min(high, len(bits)))
    wide = [name for name in names if widths[name] >= count]
    if wide and dice.random() < 0.4:  # neighbours in one register
        name = dice.choice(wide)
        first = dice.randrange(widths[name] - count + 1)
        chosen = [(name, n) for n in range(first + count - 1, first - 1, -1)]
        text = part(name, first + count - 1, first, widths)
    else:
        chosen = dice.sample(bits, count)
        text = ", ".join(part(name, n, n, widths) for name, n in chosen)
        text = f"{{{text}}}" if count > 1 else text
    number = int("".join(str(values[name] >> n & 1) for name, n in chosen), 2)
    return Condition(f"{text} == {count}'h{number:x}", style, count)


def _zero(
    names: Sequence[str], widths: Mapping[str, int], values: Mapping[str, int], dice: random.Random
) -> Condition | None:
    """A register, or the longest part of it, that is zero."""
    found = []
    for name in names:
        digits = f"{values[name]:0{widths[name]}b}"
        runs = [match.span() for match in re.finditer("00+", digits)]
        if runs:
            start, end = max(runs, key=lambda span: span[1] - span[0])
            found.append((name, widths[name] - 1 - start, widths[name] - end))
    if not found:
        return None
    name, high, low = dice.choice(found)
    return Condition(f"{part(name, high, low, widths)} == '0", Style.ZERO, high - low + 1)


def _comparison(
    names: Sequence[str], widths: Mapping[str, int], values: Mapping[str, int], dice: random.Random
) -> Condition | None:
    pairs = [
        (one, two)
        for one in names
        for two in names
        if one != two and widths[one] == widths[two] > 2 and values[one] < values[two]
    ]
    if pairs and dice.random() < 0.4:
        one, two = dice.choice(pairs)
        return Condition(f"{one} < {two}", Style.COMPARE, 0)
    wide = [name for name in names if widths[name] > 2]
    if not wide:
        return None
    name = dice.choice(wide)
    count = min(widths[name], dice.choice((6, 12, 24)))
    low = dice.randrange(widths[name] - count + 1)
    value = values[name] >> low & (1 << count) - 1
    text = part(name, low + count - 1, low, widths)
    if value + 1 < 1 << count and dice.random() < 0.5:
        limit = min((1 << count) - 1, value + 1 + dice.randrange(1 << count - 2))
        return Condition(f"{text} < {count}'d{limit}", Style.COMPARE, 0)
    if value == 0:
        return None
    limit = max(1, value - dice.randrange(1 << count - 2))
    return Condition(f"{text} >= {count}'d{limit}", Style.COMPARE, 0)


def part(name: str, high: int, low: int, widths: Mapping[str, int]) -> str:
    """Bits `high` to `low` of `name` in Verilog."""
    if high - low + 1 == widths[name]:
        return name
    return f"{name}[{high}]" if high == low else f"{name}[{high}:{low}]"
