"""What each combinational cell of Yosys computes, as an and-inverter graph.

*Source:* the Yosys manual, "Internal cell library", and ``kernel/calc.cc`` of Yosys 0.70. Results
that are x by IEEE 1800-2017 (a division by zero, a bit outside of a vector) come from `free`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from openforge.analysis.aig import FALSE, Aig, Word
from openforge.analysis.cells import Cell

Ports = Mapping[str, Sequence[int]]
Free = Callable[[int], Word]
"""Makes a word of so many bits of which nothing is known."""

_BITWISE = {"$and", "$or", "$xor", "$xnor", "$not", "$mux", "$pos", "$buf", "$bwmux"}


def is_bitwise(cell: Cell) -> bool:
    """Whether bit i of the output depends on bits i of the inputs alone, and on a select."""
    return cell.type in _BITWISE


def bit_inputs(cell: Cell, position: int) -> list[tuple[str, int]]:
    """The input bits, as port and position, that output bit `position` of a bitwise cell needs."""
    found = []
    for port, bits in cell.inputs.items():
        if port == "S" and cell.type == "$mux":
            found.append((port, 0))
        elif position < len(bits):
            found.append((port, position))
        elif cell.number(f"{port}_SIGNED") and bits:
            found.append((port, len(bits) - 1))
    return found


def bit_of(aig: Aig, cell: Cell, given: Mapping[str, int]) -> int:
    """One output bit of a bitwise cell. `given` has the literals by port; what is missing is 0."""
    a, b = given.get("A", FALSE), given.get("B", FALSE)
    if cell.type in ("$mux", "$bwmux"):
        return aig.choose(given["S"], b, a)
    return _GATES[cell.type](aig, a, b)


_GATES: dict[str, Callable[[Aig, int, int], int]] = {
    "$and": lambda aig, a, b: aig.conj(a, b),
    "$or": lambda aig, a, b: aig.disj(a, b),
    "$xor": lambda aig, a, b: aig.differ(a, b),
    "$xnor": lambda aig, a, b: aig.differ(a, b) ^ 1,
    "$not": lambda _, a, __: a ^ 1,
    "$pos": lambda _, a, __: a,
    "$buf": lambda _, a, __: a,
}


def word_of(aig: Aig, cell: Cell, ports: Ports, free: Free) -> Word | None:
    """The output Y of a cell that is not bitwise; None for a type that is not known."""
    kind = cell.type
    width = cell.number("Y_WIDTH") or cell.number("WIDTH")
    word: Word | None = None
    if kind in _ARITHMETIC:
        word = _ARITHMETIC[kind](aig, cell, ports, width)
    elif kind in _COMPARISONS:
        word = _one_bit(_COMPARISONS[kind](aig, *_compared(cell, ports)), width)
    elif kind in _REDUCTIONS:
        word = _one_bit(_REDUCTIONS[kind](aig, ports), width)
    elif kind in _PARTIAL:
        word = _PARTIAL[kind](aig, cell, ports, width, free)
    elif kind in _SELECTIONS:
        word = _SELECTIONS[kind](aig, cell, ports)
    return word


def extended(word: Sequence[int], width: int, *, signed: bool) -> Word:
    """`word` with `width` bits: cut, or extended by its sign or by 0."""
    fill = word[-1] if signed and word else FALSE
    return [*word[:width], *[fill] * (width - len(word))]


def _one_bit(literal: int, width: int) -> Word:
    return [literal, *[FALSE] * (width - 1)]


def _operands(cell: Cell, ports: Ports, width: int) -> tuple[Word, Word]:
    a = extended(ports["A"], width, signed=bool(cell.number("A_SIGNED")))
    return a, extended(ports.get("B", ()), width, signed=bool(cell.number("B_SIGNED")))


def _is_signed(cell: Cell) -> bool:
    return bool(cell.number("A_SIGNED") and cell.number("B_SIGNED"))


def _add(aig: Aig, cell: Cell, ports: Ports, width: int) -> Word:
    return aig.add(*_operands(cell, ports, width))[0]


def _sub(aig: Aig, cell: Cell, ports: Ports, width: int) -> Word:
    a, b = _operands(cell, ports, width)
    return aig.add(a, [bit ^ 1 for bit in b], 1)[0]


def _mul(aig: Aig, cell: Cell, ports: Ports, width: int) -> Word:
    a, b = _operands(cell, ports, width)
    return aig.multiply(a, b)


def _neg(aig: Aig, cell: Cell, ports: Ports, width: int) -> Word:
    return aig.negative(_operands(cell, ports, width)[0])


_ARITHMETIC: dict[str, Callable[[Aig, Cell, Ports, int], Word]] = {
    "$add": _add,
    "$sub": _sub,
    "$mul": _mul,
    "$neg": _neg,
}


def _compared(cell: Cell, ports: Ports) -> tuple[Word, Word, bool]:
    width = max(len(ports["A"]), len(ports["B"]))
    return (*_operands(cell, ports, width), _is_signed(cell))


_COMPARISONS: dict[str, Callable[[Aig, Word, Word, bool], int]] = {
    "$lt": lambda aig, a, b, signed: aig.less(a, b, signed=signed),
    "$le": lambda aig, a, b, signed: aig.less(b, a, signed=signed) ^ 1,
    "$gt": lambda aig, a, b, signed: aig.less(b, a, signed=signed),
    "$ge": lambda aig, a, b, signed: aig.less(a, b, signed=signed) ^ 1,
    "$eq": lambda aig, a, b, _: aig.equal(a, b),
    "$ne": lambda aig, a, b, _: aig.equal(a, b) ^ 1,
    "$eqx": lambda aig, a, b, _: aig.equal(a, b),
    "$nex": lambda aig, a, b, _: aig.equal(a, b) ^ 1,
}
_REDUCTIONS: dict[str, Callable[[Aig, Ports], int]] = {
    "$reduce_and": lambda aig, p: aig.all_of(p["A"]),
    "$reduce_or": lambda aig, p: aig.any_of(p["A"]),
    "$reduce_bool": lambda aig, p: aig.any_of(p["A"]),
    "$reduce_xor": lambda aig, p: aig.parity(p["A"]),
    "$reduce_xnor": lambda aig, p: aig.parity(p["A"]) ^ 1,
    "$logic_not": lambda aig, p: aig.any_of(p["A"]) ^ 1,
    "$logic_and": lambda aig, p: aig.conj(aig.any_of(p["A"]), aig.any_of(p["B"])),
    "$logic_or": lambda aig, p: aig.disj(aig.any_of(p["A"]), aig.any_of(p["B"])),
}


def _shift(aig: Aig, cell: Cell, ports: Ports, width: int, _free: Free) -> Word:
    signed = bool(cell.number("A_SIGNED"))
    word = extended(ports["A"], max(width, len(ports["A"])), signed=signed)
    fill = word[-1] if cell.type == "$sshr" and signed and word else FALSE
    left = cell.type in ("$shl", "$sshl")
    return aig.shift(word, ports["B"], left=left, fill=fill)[:width]


def _signed_shift(aig: Aig, cell: Cell, ports: Ports, width: int, free: Free) -> Word:
    """``$shift`` and ``$shiftx``: to the right, to the left by a negative amount."""
    signed = cell.type == "$shift" and bool(cell.number("A_SIGNED"))
    amount = list(ports["B"])
    wide = max(width, len(ports["A"]))
    word = extended(ports["A"], wide, signed=signed)
    inside = extended([1] * len(ports["A"]), wide, signed=False)  # 1 where there is a bit of A

    def moved(what: Word, by: Word, *, left: bool) -> Word:
        return aig.shift(what, by, left=left, fill=FALSE)[:width]

    def both(what: Word) -> Word:
        if not cell.number("B_SIGNED") or not amount:
            return moved(what, amount, left=False)
        right = moved(what, amount[:-1], left=False)
        return aig.select(amount[-1], moved(what, aig.negative(amount), left=True), right)

    result = both(word)
    if cell.type == "$shift":
        return result
    there = both(inside)
    return [
        bit if known == 1 else aig.choose(known, bit, free(1)[0])
        for bit, known in zip(result, there, strict=True)
    ]


def _division(aig: Aig, cell: Cell, ports: Ports, width: int, free: Free) -> Word:
    wide = max(width, len(ports["A"]), len(ports["B"]))
    a, b = _operands(cell, ports, wide)
    negative_a, negative_b = (a[-1], b[-1]) if _is_signed(cell) else (FALSE, FALSE)
    size_a, size_b = (
        aig.select(sign, aig.negative(word), word)
        for sign, word in ((negative_a, a), (negative_b, b))
    )
    quotient, rest = aig.divide(size_a, size_b)
    opposite = aig.differ(negative_a, negative_b)
    if cell.type in ("$divfloor", "$modfloor"):
        # towards minus infinity: one further where signs differ and something is left
        uneven = aig.conj(opposite, aig.any_of(rest))
        more, _ = aig.add(quotient, [FALSE] * wide, uneven)
        other = aig.add(size_b, [bit ^ 1 for bit in rest], 1)[0]
        quotient, rest = more, aig.select(uneven, other, rest)
        sign = negative_b
    else:
        sign = negative_a
    if cell.type in ("$div", "$divfloor"):
        result = aig.select(opposite, aig.negative(quotient), quotient)
    else:
        result = aig.select(sign, aig.negative(rest), rest)
    defined = aig.any_of(b)
    return result[:width] if defined == 1 else aig.select(defined, result[:width], free(width))


_PARTIAL: dict[str, Callable[[Aig, Cell, Ports, int, Free], Word]] = {
    **dict.fromkeys(("$shl", "$sshl", "$shr", "$sshr"), _shift),
    **dict.fromkeys(("$shift", "$shiftx"), _signed_shift),
    **dict.fromkeys(("$div", "$mod", "$divfloor", "$modfloor"), _division),
}


def _parallel(aig: Aig, cell: Cell, ports: Ports) -> Word:
    """``$pmux``: one of the words of B, or A where no bit of S is set."""
    width = cell.number("WIDTH")
    default = aig.any_of(ports["S"]) ^ 1
    result = []
    for bit in range(width):
        chosen = [aig.conj(s, ports["B"][n * width + bit]) for n, s in enumerate(ports["S"])]
        result.append(aig.any_of([*chosen, aig.conj(default, ports["A"][bit])]))
    return result


def _indexed(aig: Aig, cell: Cell, ports: Ports) -> Word:
    """``$bmux``: word number S of A."""
    width, words = cell.number("WIDTH"), list(ports["A"])
    for bit in reversed(ports["S"]):
        half = len(words) // 2
        words = aig.select(bit, words[half:], words[:half])
    return words[:width]


def _spread(aig: Aig, _: Cell, ports: Ports) -> Word:
    """``$demux``: A at word number S, 0 elsewhere."""
    words = list(ports["A"])
    for bit in ports["S"]:
        words = [aig.conj(bit ^ 1, w) for w in words] + [aig.conj(bit, w) for w in words]
    return words


def _table(aig: Aig, cell: Cell, ports: Ports) -> Word:
    """``$lut``: bit number A of a constant table."""
    size = 1 << len(ports["A"])
    words: Word = [int(bit) for bit in cell.params["LUT"][::-1].ljust(size, "0")[:size]]
    for bit in reversed(ports["A"]):
        half = len(words) // 2
        words = aig.select(bit, words[half:], words[:half])
    return words


_SELECTIONS: dict[str, Callable[[Aig, Cell, Ports], Word]] = {
    "$pmux": _parallel,
    "$bmux": _indexed,
    "$demux": _spread,
    "$lut": _table,
}
