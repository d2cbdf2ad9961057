"""A leak replayed on Verilator, which did not find it, with waveforms of both copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from openforge.analysis.cells import Graph
from openforge.analysis.two_safety import Leak, Question, Run
from openforge.design import Design
from openforge.errors import CheckFailedToRun
from openforge.interface import Interface
from openforge.tools import verilator, verilator_replay
from openforge.tools.verilator_replay import Poke, Stimulus, Trace


@dataclass(frozen=True)
class Replay:
    """Both copies on Verilator. `cycle` is the first in which `signal` differs."""

    traces: tuple[Trace, Trace]
    signal: str
    cycle: int
    stimuli: tuple[Stimulus, Stimulus]


def replay(
    design: Design,
    interface: Interface,
    question: Question,
    leak: Leak,
    *,
    show: Iterable[str],
    work: Path,
) -> Replay:
    """Run the pair of `leak` on Verilator and see what is observed differ where it was said to.

    `show` are further signals to sample. Raises CheckFailedToRun when it does not differ there, or
    differs before: one of the engines is wrong then, and there is no verdict.
    """
    graph = question.graph
    signal, position = graph.names[leak.net]
    names = list(dict.fromkeys([signal, *_observed(question), *show]))
    stimuli = _stimuli(design, interface, question, leak)
    model = verilator.Model(
        top=design.top,
        main=verilator_replay.MAIN,
        sources=tuple(source.path for source in design.sources),
        includes=design.includes,
        defines=design.defines,
        parameters=design.parameters,
    )
    replayer = verilator_replay.build(model, work / "model", project=design.project_dir, jobs=2)
    first, second = (
        replayer.run(stimulus, names, work / f"copy_{copy}")
        for copy, stimulus in zip("ab", stimuli, strict=True)
    )
    _require_same_leak(question, leak, first, second)
    values = (first.values[signal], second.values[signal])
    differs = [
        cycle
        for cycle, (a, b) in enumerate(zip(*values, strict=True))
        if (a ^ b) >> position & 1 and cycle >= question.first_observed
    ]
    if not differs or differs[0] != leak.cycle:
        raise CheckFailedToRun(
            f"internal contradiction: {graph.called(leak.net)} differs in cycle {leak.cycle} when "
            "our simulator runs the pair of stimuli, and not when Verilator does"
        )
    return Replay((first, second), signal, leak.cycle, stimuli)


def _require_same_leak(question: Question, leak: Leak, first: Trace, second: Trace) -> None:
    """Nothing that is observed may differ on Verilator before the leak, once it is compared."""
    for net in question.observed:
        signal, position = question.graph.names[net]
        pairs = zip(first.values[signal], second.values[signal], strict=True)
        early = [
            cycle
            for cycle, (a, b) in enumerate(pairs)
            if (a ^ b) >> position & 1 and question.first_observed <= cycle < leak.cycle
        ]
        if early:
            raise CheckFailedToRun(
                f"internal contradiction: {question.graph.called(net)} differs in cycle {early[0]} "
                f"on Verilator, before the leak in cycle {leak.cycle}"
            )


def _observed(question: Question) -> list[str]:
    return [question.graph.names[net][0] for net in question.observed]


def _stimuli(
    design: Design, interface: Interface, question: Question, leak: Leak
) -> tuple[Stimulus, Stimulus]:
    registers = {register.name for register in design.registers}
    made = []
    for run in leak.runs:
        cycles = [_words(question.graph, given, interface.clock) for given in run.inputs]
        before = dict(cycles[0])
        if interface.reset:
            before[interface.reset.signal] = int(interface.reset.active_low)
        for reset in design.resets:  # an asynchronous reset acts by its edge
            if reset.asynchronous and reset.signal in before:
                before[reset.signal] = int(reset.active_low)
        pokes: dict[int, list[Poke]] = defaultdict(list)
        graph, held = question.graph, question.held & run.held.keys()
        set_ = {net for net, value in run.registers.items() if value}
        pokes[0] += _pokes(graph, {**_initial(graph), **run.registers}, set_, registers)
        pokes[question.reset_cycles] += _pokes(graph, run.held, held, registers)
        pokes[question.reset_cycles] += _memory_pokes(run)
        made.append(
            Stimulus(
                clock=interface.clock,
                rising=interface.rising,
                before=before,
                cycles=cycles,
                pokes={n: found for n, found in pokes.items() if found and n < len(cycles)},
            )
        )
    return made[0], made[1]


def _words(graph: Graph, given: Mapping[int, int], clock: str | None) -> dict[str, int]:
    """The inputs of a cycle by port, as numbers."""
    return {
        vector.name: sum(
            given.get(bit, 0) << n for n, bit in enumerate(vector.bits) if isinstance(bit, int)
        )
        for vector in graph.inputs
        if vector.name != clock
    }


def _initial(graph: Graph) -> dict[int, int]:
    return {net: int(value) for net, value in graph.initial.items()}


def _pokes(
    graph: Graph, values: Mapping[int, int], bits: Set[int], registers: Set[str]
) -> list[Poke]:
    """Whole registers, with the `values` of all of their bits, of which some `bits` are to be set.

    By the names that the source gives them. Raises CheckFailedToRun for a bit of no register that
    has a name.
    """
    wanted = set(bits)
    pokes = []
    for name in sorted(registers):
        vector = graph.signals.get(name)
        if vector and wanted.intersection(vector.bits):
            value = sum(
                values.get(bit, 0) << n for n, bit in enumerate(vector.bits) if isinstance(bit, int)
            )
            pokes.append(Poke(name, None, value))
            wanted -= set(vector.bits)
    if wanted:
        raise CheckFailedToRun(
            f"the leak needs a value in {graph.called(min(wanted))}, which the source does not name"
        )
    return pokes


def _memory_pokes(run: Run) -> list[Poke]:
    return [
        Poke(name, address, value)
        for name, words in run.words.items()
        for address, value in words.items()
    ]
