"""A pair of traces replayed on Verilator from the source, which must show the same values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.bitsliced import LANES, Simulation
from openforge.analysis.cells import Vector
from openforge.analysis.stimulus import bits_of, classes_of
from openforge.design import Design
from openforge.errors import CheckFailedToRun, ToolError
from openforge.interface import Interface
from openforge.run_folder import RunFolder
from openforge.tools import verilator, verilator_replay
from openforge.tools.verilator_replay import Poke, Replayer, Stimulus, Trace

WAVES = ("leak/fixed.fst", "leak/random.fst")
STIMULI = "leak/stimuli.json"
_MOST_COMPARED = 400
_MOST_SHOWN = 10


@dataclass(frozen=True)
class Pair:
    """Two traces of batch 0, one of each class, by lane, and the cycle in which they leak."""

    fixed: int
    random: int
    cycle: int


def build(design: Design, work: Path) -> Replayer:
    """The design's own source on Verilator. Raises DesignError, ToolError."""
    model = verilator.Model(
        top=design.top,
        main=verilator_replay.MAIN,
        sources=tuple(source.path for source in design.sources),
        includes=design.includes,
        defines=design.defines,
        parameters=design.parameters,
    )
    return verilator_replay.build(model, work / "model", project=design.project_dir, jobs=2)


def pair(simulation: Simulation, cycle: int) -> Pair:
    """The first trace of the fixed class, and that of the other whose power is farthest from it."""
    random = classes_of(simulation.key, 0, 1, simulation.stimulus.n_slots)
    power = simulation.power(0, 1)[:, cycle].astype(np.int64)
    fixed = int(np.flatnonzero(~random)[0])
    others = np.flatnonzero(random)
    return Pair(fixed, int(others[np.abs(power[others] - power[fixed]).argmax()]), cycle)


def replay(
    design: Design,
    interface: Interface,
    simulation: Simulation,
    chosen: Pair,
    *,
    shown: Sequence[str],
    replayer: Callable[[], Replayer],
    folder: RunFolder,
) -> int:
    """Run the pair on Verilator, compare, and leave waveforms, stimuli and the table ``waves``.

    Returns how many values were compared. `shown` are signals to be shown first. Raises
    CheckFailedToRun when a register or port has another value there: one of the engines is wrong
    then, and there is no verdict.
    """
    made = _Pair(design, interface, simulation)
    ready = replayer()
    names = [name for name in made.names() if _known(ready, name)]
    lanes = (chosen.fixed, chosen.random)
    stimuli = [made.stimulus(lane) for lane in lanes]
    traces = [
        ready.run(stimulus, names, folder.work / f"pair_{number}")
        for number, stimulus in enumerate(stimuli)
    ]
    compared = sum(made.compare(trace, lane) for trace, lane in zip(traces, lanes, strict=True))
    if not compared:
        raise CheckFailedToRun(
            "the leak could not be replayed: Verilator knows none of its signals"
        )
    for trace, name in zip(traces, WAVES, strict=True):
        folder.keep(trace.waveform, name)
    _keep_stimuli(folder, interface, stimuli, simulation, chosen)
    first = [name for name in shown if name in names]
    folder.table("waves", _waves(traces, [*first, *(n for n in names if n not in first)]))
    return compared


def _known(replayer: Replayer, name: str) -> bool:
    try:
        replayer.symbols.signal(name)
    except ToolError:
        return False
    return True


class _Pair:
    """Traces of batch 0 in terms of ports and registers."""

    def __init__(self, design: Design, interface: Interface, simulation: Simulation) -> None:
        self._design, self._interface, self._simulation = design, interface, simulation
        self._graph = simulation.gates.graph
        seen = {reg.q: reg.seen for reg in simulation.gates.registers if reg.hidden}
        self._poked = {seen.get(net, net): bits for net, bits in simulation.poked(0).items()}

    def names(self) -> list[str]:
        """Registers and ports whose values can be compared."""
        registers = [r.name for r in self._design.registers if r.one_range]
        outputs = [port.name for port in self._graph.outputs]
        there = (name for name in (*outputs, *registers) if name in self._graph.signals)
        return list(dict.fromkeys(there))[:_MOST_COMPARED]

    def stimulus(self, lane: int) -> Stimulus:
        """The inputs of a trace, with its prologue."""
        clock, prologue = self._interface.clock, self._simulation.stimulus.prologue
        ports = [port for port in self._graph.inputs if port.name != clock]
        values = {port.name: self._values(port, lane) for port in ports}
        cycles = [
            {port.name: self._word(port, inputs) for port in ports} for inputs in prologue
        ] + [
            {name: int(found[cycle]) for name, found in values.items()}
            for cycle in range(self._simulation.n_cycles)
        ]
        before = dict(cycles[0])
        for reset in self._design.resets:  # an asynchronous reset acts by its edge
            if reset.asynchronous and reset.signal in before:
                before[reset.signal] = int(reset.active_low)
        pokes = list(self._pokes(lane))
        return Stimulus(
            clock=clock,
            rising=self._interface.rising,
            before=before,
            cycles=cycles,
            pokes={len(prologue) - 1: pokes} if pokes else {},
        )

    def compare(self, trace: Trace, lane: int) -> int:
        """How many values were the same on Verilator. Raises CheckFailedToRun for another one."""
        prologue, count = len(self._simulation.stimulus.prologue), 0
        for name, there in trace.values.items():
            here = self._values(self._graph.signals[name], lane)
            for cycle, (ours, theirs) in enumerate(zip(here, there[prologue:], strict=True)):
                if ours != theirs:
                    raise CheckFailedToRun(
                        f"internal contradiction: {name} is {ours:#x} in cycle {cycle} when our "
                        f"simulator runs the trace, and {theirs:#x} when Verilator does; does the "
                        "source use an x there, or index beyond the end of a vector?"
                    )
                count += 1
        return count

    def _values(self, vector: Vector, lane: int) -> list[int]:
        """The values of a signal in each cycle."""
        literals = [self._simulation.gates.literal(bit) for bit in vector.bits]
        found = self._simulation.values(0, [literal >> 1 for literal in literals])
        bits = _lane(found, lane) ^ np.array([literal & 1 for literal in literals], bool)
        return [sum(1 << n for n in np.flatnonzero(row).tolist()) for row in bits]

    def _word(self, port: Vector, inputs: Mapping[int, bool]) -> int:
        nets = [self._simulation.gates.literal(bit) >> 1 for bit in port.bits]
        return sum(inputs.get(net, False) << n for n, net in enumerate(nets))

    def _pokes(self, lane: int) -> Iterator[Poke]:
        """Registers that are set before the trace, whole: what is not poked keeps its value."""
        wanted = set(self._poked)
        for register in self._design.registers:
            vector = self._graph.signals.get(register.name)
            if vector is None:
                continue
            literals = [self._simulation.gates.literal(bit) for bit in vector.bits]
            if wanted.isdisjoint(literal >> 1 for literal in literals):
                continue
            value = 0
            for n, literal in enumerate(literals):
                net = literal >> 1
                if net in self._poked:
                    bit = bool(self._poked[net][lane])
                else:
                    bit = self._simulation.initially(net)
                value |= (bit ^ bool(literal & 1)) << n
                wanted.discard(net)
            yield Poke(register.name, None, value)
        if wanted:
            raise CheckFailedToRun("a secret is in a register that the source does not name")


def _lane(words: NDArray[np.uint64], lane: int) -> NDArray[np.bool_]:
    """The bits of one trace: bool[n_cycles, n]."""
    return bits_of(words).reshape(*words.shape[:2], LANES)[:, :, lane]


def _waves(traces: Sequence[Trace], names: Sequence[str]) -> Iterator[dict[str, object]]:
    for name in names[:_MOST_SHOWN]:
        for copy, trace in zip("ab", traces, strict=True):
            for cycle, value in enumerate(trace.values[name]):
                yield {"signal": name, "copy": copy, "cycle": cycle, "value": f"{value:x}"}


def _keep_stimuli(
    folder: RunFolder,
    interface: Interface,
    stimuli: Sequence[Stimulus],
    simulation: Simulation,
    chosen: Pair,
) -> None:
    text = {
        "about": "inputs of two traces by cycle (hexadecimal). A cycle: set inputs, sample, active "
        "clock edge. The trace begins after the prologue. Key and number make a trace again.",
        "clock": interface.clock,
        "active_edge": "rising" if interface.rising else "falling",
        "prologue_cycles": len(simulation.stimulus.prologue),
        "key": f"{simulation.key:016x}",
        "leaks_in_cycle": chosen.cycle,
        "traces": {
            name: {
                "number": number,
                "cycles": [{k: f"{v:x}" for k, v in row.items()} for row in stimulus.cycles],
                "set": {
                    n: {poke.name: f"{poke.value:x}" for poke in pokes}
                    for n, pokes in stimulus.pokes.items()
                },
            }
            for name, number, stimulus in zip(
                ("fixed", "random"), (chosen.fixed, chosen.random), stimuli, strict=True
            )
        },
    }
    file = folder.work / "pair.json"
    file.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    folder.keep(file, STIMULI)
