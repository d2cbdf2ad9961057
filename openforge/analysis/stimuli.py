"""Random pairs of runs: public inputs equal, secrets different, in many shapes at once.

A leak may need a pulse and then silence, an operand that is zero, or two that are equal. Each pair
of lanes therefore draws for each port how it behaves, and values are more often special than
uniform draws would make them: zeros, ones, equal operands, what the design compares with.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from openforge.analysis.lanes import Lanes, Words, word_row
from openforge.analysis.machine import Machine, Origin
from openforge.analysis.patterns import mined
from openforge.analysis.two_safety import Question, Run

_POOL_BITS = 4096


@dataclass(frozen=True)
class Port:
    """Input bits that belong together, by net, least significant first."""

    nets: tuple[int, ...]
    literals: tuple[int, ...]


@dataclass
class _Control:
    """How a single public bit behaves: in which lanes it is what (masks over the lanes)."""

    pulse: int
    sparse: int
    half: int
    dense: int
    one: int


@dataclass
class _Data:
    """The value of a port where it is held, one integer a bit; elsewhere it is drawn anew."""

    held: int
    bits: list[int] = field(default_factory=list)


class Stimuli:
    """Inputs and starting values for `pairs` pairs of lanes: pair p is lanes p and pairs + p.

    The same `seed` gives the same stimuli. `solutions` are values of inputs, by net, with which the
    assumptions hold; each lane takes its values of those inputs from them.
    """

    def __init__(
        self,
        question: Question,
        machine: Machine,
        pairs: int,
        seed: int,
        solutions: Sequence[Mapping[int, int]] = (),
        *,
        operation: bool = False,
    ) -> None:
        """With `operation`, every lane begins one operation and then holds all of its inputs."""
        self._question, self._pairs, self._operation = question, pairs, operation
        self._every = (1 << pairs) - 1
        self._random = random.Random(seed)  # noqa: S311  (stimuli, not keys)
        self._pool = [self._random.getrandbits(_POOL_BITS) for _ in range(pairs)]
        self._solutions = solutions
        self._patterns = mined(question.graph)
        bound = set().union(*solutions) if solutions else set()
        free = {v.net: v.literal for v in machine.variables if v.origin is Origin.INPUT}
        fixed = {*question.constants, *bound}
        if question.reset:
            fixed.add(question.reset.net)
        self._fixed = {net: free[net] for net in fixed if net in free}
        self._public = _ports(question, free, lambda n: n not in fixed | question.secret)
        self._secret = _ports(question, free, lambda n: n in question.secret and n not in fixed)
        self._controls = {p.nets[0]: self._control(p) for p in self._public if len(p.nets) == 1}
        self._data = {p.nets[0]: self._word(p) for p in self._public if len(p.nets) > 1}
        self._differing = {p.nets[0]: self._pair(len(p.nets)) for p in self._secret}
        self._twins = _twins(solutions, question.secret)
        self._chosen = [(0, 0)] * pairs  # by pair: the solutions of its two copies
        self._still = self._holding()  # lanes in which one solution is kept
        self.history: list[dict[int, int]] = []
        self._registers: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._planted: dict[str, list[int]] = {}
        self._contents: dict[str, Words] = {}
        self._offsets = {name: memory.offset for name, memory in machine.memories.items()}

    def inputs(self, cycle: int) -> dict[int, int]:
        """The inputs of the next cycle, by literal, and kept in `history`."""
        given: dict[int, int] = {}
        for net, literal in self._fixed.items():
            given[literal] = self._both(self._fixed_value(net, cycle))
        for port in self._public:
            if len(port.nets) == 1:
                given[port.literals[0]] = self._both(self._control_value(port.nets[0], cycle))
            else:
                data = self._data[port.nets[0]]
                fresh = self._fresh(len(port.nets))
                for literal, bits, new in zip(port.literals, data.bits, fresh, strict=True):
                    given[literal] = self._both((bits & data.held) | (new & ~data.held))
        for port in self._secret:
            for literal, value in zip(port.literals, self._secret_bits(port), strict=True):
                given[literal] = value
        self._solve(given, cycle)
        self.history.append(given)
        return given

    def prepare(self, lanes: Lanes) -> None:
        """Give registers without an initial value one, equal in both copies, before cycle 0."""
        zero = self._bits()  # lanes that start from all zeros: the simplest to read
        for n, latch in enumerate(lanes.machine.latches):
            if latch.initial is None and latch.net not in self._question.held:
                lanes.state[n] = self._both(self._bits() & ~zero)
                self._registers[latch.net] = lanes.state[n]

    def plant(self, lanes: Lanes) -> None:
        """Put different secrets into registers and memories that hold them, after the reset."""
        for n, latch in enumerate(lanes.machine.latches):
            if latch.net in self._question.held:
                lanes.state[n] = self._held[latch.net] = self._random.getrandbits(2 * self._pairs)
        for name, memory in lanes.machine.memories.items():
            rows = [address - memory.offset for address in self._question.memories.get(name, ())]
            if rows:
                self._planted[name] = rows
                self._fill(lanes.contents[name], rows, memory.width)
        self._contents = {name: lanes.contents[name].copy() for name in self._planted}

    def _fill(self, contents: Words, rows: list[int], width: int) -> None:
        """Random words; in half of the pairs the second copy's differ by one bit of one word."""
        draw = np.random.default_rng(self._random.getrandbits(64))
        size = (2 * self._pairs, len(rows), contents.shape[2])
        words = draw.integers(0, 1 << 64, size, dtype=np.uint64) & word_row((1 << width) - 1, width)
        for pair in range(0, self._pairs, 2):
            words[self._pairs + pair] = words[pair]
            bit = self._random.randrange(width)
            row = self._random.randrange(len(rows))
            words[self._pairs + pair, row] ^= word_row(1 << bit, width)
        contents[:, rows] = words

    def run(self, lane: int) -> Run:
        """What the copy in `lane` was given so far."""
        nets = {
            literal: net
            for port in (*self._public, *self._secret)
            for net, literal in zip(port.nets, port.literals, strict=True)
        } | {literal: net for net, literal in self._fixed.items()}
        return Run(
            inputs=tuple(
                {nets[literal]: value >> lane & 1 for literal, value in given.items()}
                for given in self.history
            ),
            registers={net: value >> lane & 1 for net, value in self._registers.items()},
            held={net: value >> lane & 1 for net, value in self._held.items()},
            words={
                name: {
                    self._offsets[name] + row: int.from_bytes(
                        self._contents[name][lane, row].tobytes(), "little"
                    )
                    for row in rows
                }
                for name, rows in self._planted.items()
            },
        )

    def _bits(self) -> int:
        return self._random.getrandbits(self._pairs)

    def _both(self, bits: int) -> int:
        return bits | bits << self._pairs

    def _fixed_value(self, net: int, cycle: int) -> int:
        reset = self._question.reset
        if reset and net == reset.net:
            return self._every if (cycle < reset.cycles) == bool(reset.active) else 0
        return self._every if self._question.constants.get(net) else 0

    def _control(self, port: Port) -> _Control:
        """Half of the lanes pulse an input that starts something; others are drawn evenly."""
        starts = port.nets[0] == self._question.start
        if self._operation:
            pulse = self._every if starts else 0
            return _Control(pulse, sparse=0, half=0, dense=0, one=0 if starts else self._bits())
        pulse = self._bits() if starts else self._bits() & self._bits()
        kind = [self._bits() for _ in range(2)]
        one = 0 if starts else kind[0] & kind[1]
        return _Control(
            pulse=pulse,
            sparse=kind[0] & ~kind[1] & ~pulse,
            half=kind[1] & ~kind[0] & ~pulse,
            dense=self._bits() & ~(kind[0] | kind[1] | pulse),
            one=one & ~pulse,
        )

    def _control_value(self, net: int, cycle: int) -> int:
        how, first = self._controls[net], cycle == self._question.reset_cycles
        a, b, c = self._bits(), self._bits(), self._bits()
        value = (how.sparse & a & b & c) | (how.half & a) | (how.dense & (a | b | c)) | how.one
        return value | (how.pulse if first else 0)

    def _word(self, port: Port) -> _Data:
        width = len(port.nets)
        values = [self._special(lane, width) for lane in range(self._pairs)]
        return _Data(self._holding(), _sliced(values, width))

    def _pair(self, width: int) -> tuple[_Data, _Data]:
        """Secrets of both copies: one bit apart, unrelated, or one of them zero."""
        first = [self._special(lane, width) for lane in range(self._pairs)]
        second = [self._other(lane, width, value) for lane, value in enumerate(first)]
        held = self._holding()
        return _Data(held, _sliced(first, width)), _Data(held, _sliced(second, width))

    def _holding(self) -> int:
        """The lanes in which a value is held."""
        return self._every if self._operation else self._bits() | self._bits()

    def _secret_bits(self, port: Port) -> list[int]:
        first, second = self._differing[port.nets[0]]
        held, fresh = first.held, ~first.held & self._every
        new = zip(self._fresh(len(port.nets)), self._fresh(len(port.nets)), strict=True)
        return [
            ((a & held) | (x & fresh)) | ((b & held) | (y & fresh)) << self._pairs
            for a, b, (x, y) in zip(first.bits, second.bits, new, strict=True)
        ]

    def _fresh(self, width: int) -> list[int]:
        """New values, one integer a bit: uniform, but in some lanes as the design compares with."""
        bits = [self._bits() for _ in range(width)]
        if not self._patterns:
            return bits
        wanted, lanes = self._random.choice(self._patterns), self._bits() & self._bits()
        for position in range(min(width, wanted.mask.bit_length())):
            if wanted.mask >> position & 1:
                ones = lanes if wanted.value >> position & 1 else 0
                bits[position] = bits[position] & ~lanes | ones
        return bits

    def _special(self, lane: int, width: int) -> int:
        draw = self._random
        uniform = draw.getrandbits(width)
        match draw.randrange(10):
            case 0:
                return 0
            case 1:
                return (1 << width) - 1
            case 2:
                return 1 << draw.randrange(width)
            case 3:
                return uniform >> draw.randrange(width)
            case 4 | 5:  # the same for every port of the lane
                uniform = self._pool[lane] & ((1 << width) - 1)
            case 6 | 7 if self._patterns:  # as the design compares with
                wanted = draw.choice(self._patterns)
                uniform = (uniform & ~wanted.mask | wanted.value) & ((1 << width) - 1)
        return uniform

    def _other(self, lane: int, width: int, value: int) -> int:
        match self._random.randrange(6):
            case 0 | 1 | 2:
                return value ^ 1 << self._random.randrange(width)
            case 3:
                return 0
            case _:
                return self._special(lane, width)

    def _solve(self, given: dict[int, int], cycle: int) -> None:
        """Take the inputs that assumptions speak of from solutions, kept or new each cycle.

        The copies of a pair take two that differ in secrets alone, for the reset as it is.
        """
        if not self._solutions:
            return
        usable = self._usable(cycle)
        anew = cycle in (0, self._question.reset_cycles)
        for lane in range(self._pairs):
            if anew or not self._still >> lane & 1:
                number = self._random.choice(usable)
                self._chosen[lane] = (number, self._random.choice(self._twins[number]))
        kept = {*self._question.constants}
        if self._question.reset:
            kept.add(self._question.reset.net)
        for net in self._solutions[0].keys() & self._fixed.keys() - kept:
            first, second = (
                sum(
                    self._solutions[pair[copy]][net] << lane
                    for lane, pair in enumerate(self._chosen)
                )
                for copy in (0, 1)
            )
            given[self._fixed[net]] = first | second << self._pairs

    def _usable(self, cycle: int) -> list[int]:
        """The solutions in which the reset is as it is in `cycle`; all if there is none."""
        reset = self._question.reset
        every = list(range(len(self._solutions)))
        if not reset:
            return every
        now = self._fixed_value(reset.net, cycle) & 1
        fitting = [n for n in every if self._solutions[n].get(reset.net, now) == now]
        return fitting or every


def _twins(solutions: Sequence[Mapping[int, int]], secret: frozenset[int]) -> list[list[int]]:
    """For each solution, those with the same public part, itself among them."""
    parts = [tuple((n, bit) for n, bit in s.items() if n not in secret) for s in solutions]
    groups: dict[object, list[int]] = {}
    for number, part in enumerate(parts):
        groups.setdefault(part, []).append(number)
    return [groups[part] for part in parts]


def _ports(
    question: Question, free: Mapping[int, int], wanted: Callable[[int], bool]
) -> list[Port]:
    """The input ports, each with those of its bits that are `wanted` and that matter."""
    found = []
    for vector in question.graph.inputs:
        nets = tuple(b for b in vector.bits if isinstance(b, int) and b in free and wanted(b))
        if nets:
            found.append(Port(nets, tuple(free[net] for net in nets)))
    return found


def _sliced(values: Sequence[int], width: int) -> list[int]:
    """One integer a bit position, with bit l from `values[l]`."""
    return [
        sum((value >> position & 1) << lane for lane, value in enumerate(values))
        for position in range(width)
    ]
