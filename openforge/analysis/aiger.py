"""The two copies as one sequential circuit in AIGER's binary format, for model checkers.

*Source:* A. Biere, "The AIGER And-Inverter Graph (AIG) Format", version 20071012.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from openforge.analysis.aig import TRUE, Aig
from openforge.analysis.induction import always
from openforge.analysis.product import Couple, Equal, Product
from openforge.analysis.two_safety import Run


@dataclass(frozen=True)
class Circuit:
    """A circuit whose one output is 1 when what is observed differs.

    `inputs` names its inputs, in order: ``p``, ``a`` and ``b`` with a net are an input of both
    copies, of the first and of the second; ``i``, ``j`` and ``k`` the power-up value of a register
    likewise; an empty name is of no concern to a simulation (see `decoded`).
    """

    data: bytes
    inputs: tuple[str, ...]
    n_latches: int
    n_ands: int


def decoded(
    names: Sequence[str], frames: Sequence[Set[int]], reset: tuple[int, int, int]
) -> tuple[Run, Run]:
    """The runs that a counterexample describes: in each cycle the places of the inputs that are 1.

    `names` are `Circuit.inputs`; `reset` is the net of the reset, its active value and its cycles
    (net 0: there is none).
    """
    net, active, cycles = reset
    made = []
    for starting, driving in (("ij", "pa"), ("ik", "pb")):
        inputs = []
        for number, ones in enumerate(frames):
            given = {
                int(name[1:]): int(place in ones)
                for place, name in enumerate(names)
                if name and name[0] in driving
            }
            if net and number < cycles:
                given[net] = active
            inputs.append(given)
        registers = {
            int(name[1:]): int(place in frames[0])
            for place, name in enumerate(names)
            if name and name[0] in starting
        }
        made.append(Run(tuple(inputs), registers))
    return made[0], made[1]


def circuit(product: Product, equal: Equal) -> Circuit:
    """The product, with one register for what is `equal` from cycle 0 on, in its first state.

    What is secret in registers and memories is free in every cycle. Registers without an initial
    value start with any, the same in both copies unless the question is strict.
    """
    return _Maker(product, always(product, equal)).make()


class _Maker:
    def __init__(self, product: Product, equal: Equal) -> None:
        self._product, self._equal, self._aig = product, equal, Aig()
        self._inputs: list[tuple[str, int]] = []
        self._latches: list[tuple[int, int, int]] = []  # literal, next, initial
        self._started = self._aig.variable()  # 0 in cycle 0, then 1

    def make(self) -> Circuit:
        aig, question = self._aig, self._product.question
        state, registers = self._state()
        count = max(question.reset_cycles, question.first_observed)
        chain = [aig.variable() for _ in range(count)]  # chain[n]: more than n cycles are over
        released = chain[question.reset_cycles - 1] if question.reset_cycles else TRUE
        active = question.reset.active if question.reset else 0

        def reset(literal: int) -> int:
            return aig.choose(released, literal, active)

        frame = self._product.frame(aig, state, self._equal.memories, reset)
        self._inputs += frame.variables
        for n, variables in enumerate(registers):
            for variable, following in zip(variables, frame.following[n], strict=False):
                initial = self._product.machine.latches[n].initial or 0
                self._latches.append((variable, following, initial))
        self._latches.append((self._started, TRUE, 0))
        self._latches += [
            (bit, before, 0) for bit, before in zip(chain, [TRUE, *chain], strict=False)
        ]
        bad = aig.any_of(aig.differ(a, b) for a, b in frame.observed)
        if question.first_observed:
            bad = aig.conj(bad, chain[question.first_observed - 1])
        return self._written(aig.conj(bad, self._held(frame.held)))

    def _held(self, now: int) -> int:
        """Whether all that is assumed holds, and has held in every cycle before."""
        if now == TRUE:
            return TRUE
        broken = self._aig.variable()  # 0 as long as it held
        so_far = self._aig.conj(broken ^ 1, now)
        self._latches.append((broken, so_far ^ 1, 0))
        return so_far

    def _state(self) -> tuple[list[Couple], list[tuple[int, ...]]]:
        """What the copies see of each register, and the register variables themselves."""
        seen: list[Couple] = []
        registers: list[tuple[int, ...]] = []
        strict = self._product.question.strict
        for n, latch in enumerate(self._product.machine.latches):
            if latch.net in self._product.question.held:
                seen.append((self._input(""), self._input("")))
                registers.append(())
                continue
            variables: tuple[int, ...] = (self._aig.variable(),)
            variables += () if n in self._equal.latches else (self._aig.variable(),)
            registers.append(variables)
            shown = list(variables)
            if latch.initial is None:
                one = len(variables) == 1 or not strict
                names = ("i", "i") if one else ("j", "k")
                start = [self._input(f"{names[0]}{latch.net}")]
                start.append(start[0] if one else self._input(f"{names[1]}{latch.net}"))
                shown = [
                    self._aig.choose(self._started, variable, value)
                    for variable, value in zip(variables, start, strict=False)
                ]
            seen.append((shown[0], shown[-1]))
        return seen, registers

    def _input(self, name: str) -> int:
        literal = self._aig.variable()
        self._inputs.append((name, literal))
        return literal

    def _written(self, bad: int) -> Circuit:
        """AIGER wants inputs, then latches, then gates; gates in the order they have already."""
        roots = [bad, *(following for _, following, _ in self._latches)]
        used = self._aig.cone(roots)
        numbers = {0: 0}
        for _, literal in self._inputs:
            numbers[literal >> 1] = len(numbers)
        for literal, _, _ in self._latches:
            numbers[literal >> 1] = len(numbers)
        gates = []
        for node, pair in enumerate(self._aig.fanins):
            if pair is not None and node in used:
                numbers[node] = len(numbers)
                gates.append((numbers[node], pair))

        def place(literal: int) -> int:
            return 2 * numbers[literal >> 1] + (literal & 1)

        n_inputs, n_latches = len(self._inputs), len(self._latches)
        out = bytearray(f"aig {len(numbers) - 1} {n_inputs} {n_latches} 1 {len(gates)}\n".encode())
        for _, following, initial in self._latches:
            out += f"{place(following)} {initial}\n".encode()
        out += f"{place(bad)}\n".encode()
        for number, pair in gates:
            high, low = sorted((place(pair[0]), place(pair[1])), reverse=True)
            out += _delta(2 * number - high) + _delta(high - low)
        names = tuple(name for name, _ in self._inputs)
        return Circuit(bytes(out), names, n_latches, len(gates))


def _delta(value: int) -> bytes:
    """A number in AIGER's variable length code: seven bits a byte, least significant first."""
    out = bytearray()
    while value >= 0x80:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)
