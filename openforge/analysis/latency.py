"""How many cycles an operation takes, and on what that depends, from simulated operations.

*Limits:* a law is one that all simulated operations obey; it is a description, not a proof.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openforge.analysis.lanes import Lanes
from openforge.analysis.machine import Machine, Origin
from openforge.analysis.stimuli import Stimuli
from openforge.analysis.two_safety import Question

_PAIRS = 256
_MAX_KINDS = 12  # as many constants are tried for "when x = c"
Column = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Operation:
    """One simulated operation: its inputs as numbers by port, and its cycles (None: no end)."""

    inputs: Mapping[str, int]
    cycles: int | None


@dataclass(frozen=True)
class Latency:
    """Cycles from the one in which an operation is begun to the one in which it is done.

    `counts` are operations by number of cycles, the first ones after a reset; `later` those that
    came after them. `law` is empty where none was found. `depends_on` are the inputs that changed
    the number when they alone were changed. `endless` did not end within `limit` cycles.
    """

    counts: Mapping[int, int]
    later: Mapping[int, int]
    law: str
    depends_on: tuple[str, ...]
    endless: int
    limit: int

    @property
    def seen(self) -> tuple[int, ...]:
        """All numbers of cycles that were seen."""
        return tuple(sorted({*self.counts, *self.later}))


def measure(
    question: Question,
    machine: Machine,
    *,
    seed: int,
    limit: int,
    deadline: float,
    solutions: Sequence[Mapping[int, int]] = (),
) -> Latency | None:
    """The latency of operations with random inputs that are held; None without start and done.

    What is left at `deadline` (time.monotonic) is left out: on which inputs it depends.
    """
    if question.start is None or question.done is None:
        return None
    trial = _Trial(question, machine, seed, limit, solutions, deadline=deadline)
    first = trial.operations(trial.play(trial.held))
    later = trial.operations(trial.play(trial.again, fresh=False))
    counts, more = _counted(first), _counted(later)
    varies = len(counts) > 1
    return Latency(
        counts=counts,
        later=more,
        law=law([operation for operation in first if operation.cycles is not None]),
        depends_on=tuple(trial.causes(first)) if varies else (),
        endless=sum(operation.cycles is None for operation in first),
        limit=trial.played,
    )


def _counted(operations: Sequence[Operation]) -> dict[int, int]:
    counts = Counter(op.cycles for op in operations if op.cycles is not None)
    return dict(sorted(counts.items()))


class _Trial:
    """Operations in many lanes, from one state after the reset."""

    def __init__(
        self,
        question: Question,
        machine: Machine,
        seed: int,
        limit: int,
        solutions: Sequence[Mapping[int, int]],
        *,
        deadline: float,
    ) -> None:
        self._question, self._machine, self._limit = question, machine, limit
        self._deadline = deadline
        self.played = 0  # the most cycles that operations were given
        self._lanes = lanes = Lanes(machine, 2 * _PAIRS)
        stimuli = Stimuli(question, machine, _PAIRS, seed, solutions, operation=True)
        stimuli.prepare(lanes)
        for cycle in range(question.reset_cycles):
            lanes.settle(stimuli.inputs(cycle))
            lanes.clock()
        stimuli.plant(lanes)
        self._state = list(lanes.state)
        self._contents = {name: rows.copy() for name, rows in lanes.contents.items()}
        first = question.reset_cycles
        self.held = stimuli.inputs(first)
        other = Stimuli(question, machine, _PAIRS, seed + 1, solutions, operation=True)
        self.again = other.inputs(first)
        inputs = {v.net: v.literal for v in machine.variables if v.origin is Origin.INPUT}
        self._words = {
            name: [inputs[net] for net in nets if net in inputs]
            for name, nets in _words(question).items()
        }
        assert question.start is not None
        self._start = inputs.get(question.start)
        self._given = self.held

    def play(self, given: Mapping[int, int], *, fresh: bool = True) -> dict[int, int]:
        """Begin an operation in each lane and hold its inputs `given`; cycles to done by lane.

        From the state after the reset if `fresh`, else from where the last operations ended.
        """
        lanes = self._lanes
        if fresh:
            lanes.state = list(self._state)
            lanes.contents = {name: rows.copy() for name, rows in self._contents.items()}
        assert self._question.done is not None
        done = self._machine.literal(self._question.done)
        idle = {**given, self._start: 0} if self._start is not None else dict(given)
        waiting, before, ends = lanes.every, 0, dict[int, int]()
        self._given = dict(given)
        for cycle in range(self._limit + 1):
            lanes.settle(idle if cycle else given)
            value = lanes.value(done)
            if cycle == 0:
                before = value  # done from an earlier operation does not count
            else:
                ended = value & ~before & waiting
                before &= value
                ends |= dict.fromkeys(_lanes(ended), cycle)
                waiting &= ~ended
            lanes.clock()
            self.played = max(self.played, cycle)
            if not waiting or time.monotonic() >= self._deadline:
                break
        return ends

    def operations(self, ends: Mapping[int, int]) -> list[Operation]:
        """The operations that were played last."""
        return [
            Operation(
                {
                    name: sum((self._given[lit] >> lane & 1) << n for n, lit in enumerate(literals))
                    for name, literals in self._words.items()
                    if literals
                },
                ends.get(lane),
            )
            for lane in range(self._lanes.count)
        ]

    def causes(self, operations: Sequence[Operation]) -> Iterator[str]:
        """The inputs that change the cycles when each lane gets its neighbour's value of them."""
        usual = [operation.cycles for operation in operations]
        for name, literals in self._words.items():
            turned = {lit: self._turned(self.held[lit]) for lit in literals}
            ends = self.play({**self.held, **turned})
            if time.monotonic() >= self._deadline:
                return
            if any(ends.get(lane) != cycles for lane, cycles in enumerate(usual)):
                yield name

    def _turned(self, value: int) -> int:
        return (value << 1 | value >> self._lanes.count - 1) & self._lanes.every


def _lanes(mask: int) -> Iterator[int]:
    while mask:
        yield (mask & -mask).bit_length() - 1
        mask &= mask - 1


def _words(question: Question) -> dict[str, list[int]]:
    """The inputs that an operation can depend on, by name."""
    fixed = {question.start, *question.constants}
    fixed |= {question.reset.net} if question.reset else set()
    found = {}
    for vector in question.graph.inputs:
        nets = [bit for bit in vector.bits if isinstance(bit, int)]
        if nets and not fixed.intersection(nets):
            found[vector.name] = nets
    return found


def law(operations: Sequence[Operation]) -> str:
    """The simplest rule that gives the cycles of all `operations`; empty if none is known.

    Tried are a constant, ``c + k * f`` and ``c + k * f + l * g`` with a feature of an input (its
    value, bit length, number of ones, trailing zeros), each also with one exceptional case.
    """
    if not operations:
        return ""
    cycles = np.array([operation.cycles for operation in operations], dtype=np.float64)
    if (cycles == cycles[0]).all():
        return f"{cycles[0]:.0f}"
    features = _features(operations)
    cases = _cases(operations, cycles)
    everywhere = np.ones(len(cycles), dtype=bool)
    for exception, where in [("", everywhere), *cases]:
        rule = _rule(cycles, features, where)
        if rule:
            other = cycles[~where]
            return f"{rule}, or {other[0]:.0f} when {exception}" if exception else rule
    return ""


def _features(operations: Sequence[Operation]) -> dict[str, Column]:
    kinds: dict[str, Callable[[int], int]] = {
        "{}": lambda value: value if value < 1 << 20 else -1,
        "bit_length({})": int.bit_length,
        "popcount({})": int.bit_count,
        "trailing_zeros({})": lambda value: (value & -value).bit_length() - 1 if value else 0,
    }
    found = {}
    for name in operations[0].inputs:
        values = [operation.inputs[name] for operation in operations]
        for pattern, feature in kinds.items():
            column = np.array([feature(value) for value in values], dtype=np.float64)
            if column.min() >= 0 and column.min() < column.max():
                found[pattern.format(name)] = column
    return found


def _cases(
    operations: Sequence[Operation], cycles: Column
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Exceptions: conditions on inputs with one number of cycles each, and where they do not hold.

    The condition is "x = c", "x = y" or "x < y".
    """
    names = list(operations[0].inputs)
    columns = {name: [operation.inputs[name] for operation in operations] for name in names}
    found: list[tuple[str, list[bool]]] = []
    for name, values in columns.items():
        for constant, count in Counter(values).most_common(_MAX_KINDS):
            if count > 1:
                found.append((f"{name} = {constant}", [value == constant for value in values]))
    for one, two in itertools.permutations(names, 2):
        pairs = list(zip(columns[one], columns[two], strict=True))
        found.append((f"{one} < {two}", [a < b for a, b in pairs]))
        if one < two:
            found.append((f"{one} = {two}", [a == b for a, b in pairs]))
    cases = []
    for text, holds in found:
        mask = np.array(holds)
        if 1 < mask.sum() < len(mask) and len(np.unique(cycles[mask])) == 1:
            cases.append((text, ~mask))
    return sorted(cases, key=lambda case: int(case[1].sum()))


def _rule(cycles: Column, features: Mapping[str, Column], where: npt.NDArray[np.bool_]) -> str:
    """A constant, or a sum with one or two features, that is exact `where` it has to be."""
    wanted = cycles[where]
    if (wanted == wanted[0]).all():
        return f"{wanted[0]:.0f}"
    usable = {name: column[where] for name, column in features.items()}
    usable = {name: column for name, column in usable.items() if column.min() < column.max()}
    for count in (1, 2):
        for names in itertools.combinations(usable, count):
            table = np.column_stack([np.ones_like(wanted), *(usable[name] for name in names)])
            weights = np.round(np.linalg.lstsq(table, wanted, rcond=None)[0])
            if (table @ weights == wanted).all():
                return _text(weights, names)
    return ""


def _text(weights: Column, names: Sequence[str]) -> str:
    text = f"{weights[0]:.0f}" if weights[0] else ""
    for weight, name in zip(weights[1:], names, strict=True):
        if weight:
            sign = "-" if weight < 0 else "+" if text else ""
            size = "" if abs(weight) == 1 else f"{abs(weight):.0f} "
            text += f" {sign} {size}{name}" if text else f"{sign}{size}{name}"
    return text or "0"
