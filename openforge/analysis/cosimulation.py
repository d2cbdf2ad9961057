"""Many random pairs of runs at once: finds leaks that lie deeper than a bounded search reaches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from openforge.analysis.lanes import Lanes, TooLargeError
from openforge.analysis.machine import Machine
from openforge.analysis.stimuli import Stimuli
from openforge.analysis.two_safety import Leak, Question

PAIRS = 256
_FEWEST_PAIRS = 2


@dataclass
class Seen:
    """What random runs showed beside leaks.

    `toggled` are the observed nets that were 0 and 1 after the reset; `moved` says whether any
    register changed after it; `alive` whether there were runs in which all that is assumed held to
    the end, and `differed` whether secrets were not the same in some of them. `cycles` were
    compared in each of `runs` pairs.
    """

    runs: int = 0
    cycles: int = 0
    alive: bool = False
    moved: bool = False
    differed: bool = False
    toggled: set[int] = field(default_factory=set)


def search(
    question: Question,
    machine: Machine,
    *,
    seed: int,
    cycles: Iterable[int],
    deadline: float,
    solutions: Sequence[Mapping[int, int]] = (),
) -> tuple[Leak | None, Seen]:
    """A leak that random runs show, and what else they show; one round for each of `cycles`.

    A round has as many cycles; it ends early at `deadline` (time.monotonic). The copies start
    equal. Raises TooLargeError when the memories are too large for one pair.
    """
    seen = Seen()
    for number, length in enumerate(cycles):
        if time.monotonic() >= deadline:
            break
        leak = _Round(question, machine, seed + number, solutions).play(length, deadline, seen)
        if leak:
            return leak, seen
    return None, seen


def equal_so_far(question: Question, lanes: Lanes, alive: int, pairs: int) -> int:
    """Those of `alive` in which this cycle's assumptions hold: one bit a pair."""
    every = (1 << pairs) - 1
    for net in question.assumed:
        value = lanes.value(lanes.machine.literal(net))
        alive &= value & value >> pairs
    for net in question.shared:
        value = lanes.value(lanes.machine.literal(net))
        alive &= every & ~(value ^ value >> pairs)
    return alive & every


class _Round:
    def __init__(
        self,
        question: Question,
        machine: Machine,
        seed: int,
        solutions: Sequence[Mapping[int, int]],
    ) -> None:
        self._question, self._pairs = question, PAIRS
        while True:
            try:
                self._lanes = Lanes(machine, 2 * self._pairs)
                break
            except TooLargeError:
                if self._pairs <= _FEWEST_PAIRS:
                    raise
                self._pairs //= 4
        self._stimuli = Stimuli(question, machine, self._pairs, seed, solutions)
        self._observed = {net: machine.literal(net) for net in question.observed}

    def play(self, length: int, deadline: float, seen: Seen) -> Leak | None:
        question, lanes = self._question, self._lanes
        alive = (1 << self._pairs) - 1
        ones, zeros = dict.fromkeys(self._observed, 0), dict.fromkeys(self._observed, 0)
        self._stimuli.prepare(lanes)
        seen.runs += self._pairs
        for cycle in range(length):
            if cycle == question.reset_cycles:
                self._stimuli.plant(lanes)
            lanes.settle(self._stimuli.inputs(cycle))
            alive = equal_so_far(question, lanes, alive, self._pairs)
            if cycle >= question.first_observed:
                leak = self._compare(cycle, alive)
                if leak:
                    return leak
            after = cycle > question.reset_cycles  # what changes before is the reset's doing
            for net, literal in self._observed.items() if after else ():
                value = lanes.value(literal)
                both = alive | alive << self._pairs
                ones[net] |= value & both
                zeros[net] |= ~value & both
            before = lanes.state
            lanes.clock()
            seen.moved |= cycle > question.reset_cycles + 1 and lanes.state != before
            seen.cycles = max(seen.cycles, cycle + 1)
            if not alive or time.monotonic() >= deadline:
                break
            seen.differed = seen.differed or self._differs(alive)
        seen.alive |= bool(alive)
        seen.toggled |= {net for net in self._observed if ones[net] & zeros[net]}
        return None

    def _differs(self, alive: int) -> bool:
        """Whether a secret is not the same in both copies of a pair that is `alive`."""
        machine, question = self._lanes.machine, self._question
        nets = question.secret | question.held
        kept = any(name in machine.memories for name in question.memories)
        values = (self._lanes.value(machine.literals[n]) for n in nets if n in machine.literals)
        return bool(alive) and (
            kept or any((value ^ value >> self._pairs) & alive for value in values)
        )

    def _compare(self, cycle: int, alive: int) -> Leak | None:
        for net, literal in self._observed.items():
            value = self._lanes.value(literal)
            different = (value ^ value >> self._pairs) & alive
            if different:
                pair = (different & -different).bit_length() - 1
                runs = (self._stimuli.run(pair), self._stimuli.run(pair + self._pairs))
                return Leak(runs, net, cycle)
        return None
