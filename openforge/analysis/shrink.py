"""A small leak from a found one: few secret bits that differ, and plain values elsewhere.

Many smaller variants are simulated at once, one a lane; those that still leak are candidates.

*Source:* A. Zeller, R. Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE
2002, with random subsets in parallel in place of halves in turn.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from openforge.analysis.cells import Bit
from openforge.analysis.lanes import Lanes, word_row
from openforge.analysis.machine import Machine, Origin
from openforge.analysis.two_safety import Leak, Question, Run

_LANES = 256
_ROUNDS = 40
_HOLDS = 8  # of which cycles before the leak an input's value is tried for all cycles

Place = tuple[str, int | tuple[str, int]]
"""A place where the runs can differ: ``("input", net)``, ``("held", net)``, ``("registers", net)``,
or ``("words", (memory, address))``."""


@dataclass(frozen=True)
class _Hit:
    lane: int
    net: int
    cycle: int


def confirm(question: Question, machine: Machine, runs: tuple[Run, Run]) -> Leak | None:
    """The leak that the pair `runs`, with the constants, shows when it is simulated, or None."""
    runs = (_completed(question, runs[0]), _completed(question, runs[1]))
    hits = _play(question, machine, runs)
    return Leak(runs, hits[0].net, hits[0].cycle) if hits else None


def _completed(question: Question, run: Run) -> Run:
    """`run` with the constants of the question, which a model checker's runs lack."""
    return replace(run, inputs=tuple({**given, **question.constants} for given in run.inputs))


def shrink(question: Question, machine: Machine, leak: Leak, *, deadline: float) -> Leak:
    """A leak with as few differing secret bits, and as many zeros, as were found by `deadline`."""
    leak = _fewer_differences(question, machine, _cut(leak), deadline)
    if len(differences(leak)) > 1:  # from the other end: what is minimal depends on what stays
        turned = replace(leak, runs=(leak.runs[1], leak.runs[0]))
        leak = _fewer_differences(question, machine, turned, deadline)
    return _plainer(question, machine, leak, deadline)


def differences(leak: Leak) -> tuple[Place, ...]:
    """The places where the two runs of `leak` are not the same."""
    first, second = leak.runs
    found: dict[Place, None] = {}
    for a, b in zip(first.inputs, second.inputs, strict=True):
        found |= dict.fromkeys(("input", net) for net, bit in a.items() if b.get(net) != bit)
    for kind in ("registers", "held", "words"):
        left, right = _setting(first, kind), _setting(second, kind)
        found |= dict.fromkeys(
            (kind, key) for key in {**left, **right} if left.get(key, 0) != right.get(key, 0)
        )
    return tuple(found)


def _cut(leak: Leak) -> Leak:
    first, second = (replace(run, inputs=run.inputs[: leak.cycle + 1]) for run in leak.runs)
    return replace(leak, runs=(first, second))


def _fewer_differences(question: Question, machine: Machine, leak: Leak, deadline: float) -> Leak:
    draw = random.Random(0)  # noqa: S311  (which subsets to try)
    for _ in range(_ROUNDS):
        places = differences(leak)
        if len(places) <= 1 or time.monotonic() >= deadline:
            break
        subsets = _subsets(places, draw)
        variants = [_mixed(leak.runs, set(subset)) for subset in subsets]
        hits = _play(question, machine, [leak.runs[0], *variants])
        smaller = min(hits, key=lambda hit: (len(subsets[hit.lane - 1]), hit.cycle), default=None)
        if smaller is None:
            break
        pair = (leak.runs[0], variants[smaller.lane - 1])
        leak = _cut(Leak(pair, smaller.net, smaller.cycle))
    return leak


def _subsets(places: Sequence[Place], draw: random.Random) -> list[tuple[Place, ...]]:
    """What to keep: single places, all but one, and random parts of several sizes."""
    single: list[tuple[Place, ...]] = [(place,) for place in places]
    without = (
        [tuple(p for p in places if p != place) for place in places] if len(places) > 2 else []
    )
    draw.shuffle(single)
    draw.shuffle(without)
    chosen = [*single[: _LANES // 2], *without[: _LANES // 4]]
    while len(chosen) < _LANES - 1:
        size = max(1, len(places) >> draw.randrange(1, 6))
        chosen.append(tuple(draw.sample(places, size)))
    return [subset for subset in chosen if len(subset) < len(places)]


def _setting(run: Run, kind: str) -> Mapping[Any, int]:
    """What is set in a run: registers by net, or words by memory and address."""
    if kind == "words":
        return {
            (name, at): value for name, words in run.words.items() for at, value in words.items()
        }
    return run.registers if kind == "registers" else run.held


def _mixed(runs: tuple[Run, Run], kept: set[Place]) -> Run:
    """The second run, made equal to the first everywhere but in `kept`."""
    first, second = runs
    inputs = tuple(
        {net: (b if ("input", net) in kept else a).get(net, 0) for net in a}
        for a, b in zip(first.inputs, second.inputs, strict=True)
    )

    def mix(kind: str, left: Mapping[Any, int], right: Mapping[Any, int]) -> dict[Any, int]:
        return {
            key: (right if (kind, key) in kept else left).get(key, 0) for key in {**left, **right}
        }

    words = {
        name: {
            address: (second.words if ("words", (name, address)) in kept else first.words)[name][
                address
            ]
            for address in addresses
        }
        for name, addresses in first.words.items()
    }
    registers = mix("registers", first.registers, second.registers)
    return Run(inputs, registers, mix("held", first.held, second.held), words)


def _plainer(question: Question, machine: Machine, leak: Leak, deadline: float) -> Leak:
    """Put zeros where values do not matter: inputs over all cycles, and starting values."""
    different = set(differences(leak))
    ports = [
        [bit for bit in vector.bits if isinstance(bit, int) and ("input", bit) not in different]
        for vector in question.graph.inputs
    ]
    fixed = set(question.constants) | ({question.reset.net} if question.reset else set())
    ports = [[net for net in nets if net not in fixed] for nets in ports]
    changes: list[Callable[[Run], Run]] = [lambda run: replace(run, registers={})]
    changes += [partial(_zeroed, frozenset(nets)) for nets in ports if nets]
    for vector in question.graph.inputs:
        if len(vector.bits) > 1:
            cycles = range(leak.cycle, max(-1, leak.cycle - _HOLDS), -1)
            changes += [partial(_holding, frozenset(vector.bits), cycle) for cycle in cycles]
    for change in changes:
        if time.monotonic() >= deadline:
            break
        runs = (change(leak.runs[0]), change(leak.runs[1]))
        if runs == leak.runs or (runs[0] == runs[1]):
            continue
        found = confirm(question, machine, runs)
        if found:
            leak = _cut(found)
    return leak


def _zeroed(nets: frozenset[Bit], run: Run) -> Run:
    """`run` with 0 for the inputs `nets` in all cycles."""
    cycles = ({net: 0 if net in nets else bit for net, bit in c.items()} for c in run.inputs)
    return replace(run, inputs=tuple(cycles))


def _holding(nets: frozenset[Bit], cycle: int, run: Run) -> Run:
    """`run` with the inputs `nets` as they are in `cycle`, all the time."""
    if cycle >= len(run.inputs):
        return run
    kept = {net: bit for net, bit in run.inputs[cycle].items() if net in nets}
    return replace(run, inputs=tuple({**given, **kept} for given in run.inputs))


def _play(question: Question, machine: Machine, runs: Sequence[Run]) -> list[_Hit]:
    """Simulate `runs`, one a lane; the lanes that leak against lane 0, each where it first does."""
    lanes = Lanes(machine, len(runs))
    nets = {v.net: v.literal for v in machine.variables if v.origin is Origin.INPUT}
    start(lanes, runs)
    every = lanes.every

    def spread(value: int) -> int:
        return every if value & 1 else 0

    alive, hits = every, []
    for cycle in range(len(runs[0].inputs)):
        if cycle == question.reset_cycles:
            hold(lanes, runs)
        given = {literal: _column(runs, cycle, net) for net, literal in nets.items()}
        lanes.settle(given)
        for net in question.assumed:
            alive &= lanes.value(machine.literal(net))
        for net in question.shared:
            value = lanes.value(machine.literal(net))
            alive &= ~(value ^ spread(value))
        if not alive & 1:
            break
        for net in question.observed if cycle >= question.first_observed else ():
            value = lanes.value(machine.literal(net))
            different = (value ^ spread(value)) & alive
            while different:
                lane = (different & -different).bit_length() - 1
                hits.append(_Hit(lane, net, cycle))
                different &= different - 1
                alive &= ~(1 << lane)
        lanes.clock()
    return hits


def _column(runs: Sequence[Run], cycle: int, net: int) -> int:
    """The value of an input in all lanes; lanes mostly agree."""
    value = 0
    for lane, run in enumerate(runs):
        if run.inputs[cycle].get(net, 0):
            value |= 1 << lane
    return value


def start(lanes: Lanes, runs: Sequence[Run]) -> None:
    """Give registers without an initial value those of `runs`, one run a lane."""
    for n, latch in enumerate(lanes.machine.latches):
        if latch.initial is None:
            lanes.state[n] = sum(run.registers.get(latch.net, 0) << i for i, run in enumerate(runs))


def hold(lanes: Lanes, runs: Sequence[Run]) -> None:
    """Put the secrets of `runs` where they are held, after the reset."""
    held = {net for run in runs for net in run.held}
    for n, latch in enumerate(lanes.machine.latches):
        if latch.net in held:
            lanes.state[n] = sum(run.held.get(latch.net, 0) << i for i, run in enumerate(runs))
    for lane, run in enumerate(runs):
        for name, words in run.words.items():
            memory = lanes.machine.memories.get(name)
            if memory is None:
                continue
            for address, value in words.items():
                row = word_row(value, memory.width)
                lanes.contents[name][lane, address - memory.offset] = row
