"""What is told of a leak: its replay, its way through the source, waveforms and stimuli."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from openforge.analysis import divergence, shrink
from openforge.analysis.machine import Machine
from openforge.analysis.taint import Taint
from openforge.analysis.two_safety import Leak, Question, Run
from openforge.design import Design
from openforge.engines.constant_time import explanation
from openforge.engines.constant_time.asking import Asked
from openforge.engines.constant_time.explanation import Explanation, Station
from openforge.engines.constant_time.replaying import Replay, replay
from openforge.interface import Interface
from openforge.run_folder import RunFolder
from openforge.tools.verilator_replay import Poke, Stimulus

_AFTERMATH = 12  # cycles that are shown after the leak
_MOST_REGISTERS = 6
WAVES = ("leak/copy_a.fst", "leak/copy_b.fst")
STIMULI = "leak/stimuli.json"


@dataclass(frozen=True)
class Told:
    """`differing` are the secret bits, and `violated` the observed signals, that differ."""

    explanation: Explanation | None
    stations: tuple[Station, ...]
    differing: tuple[str, ...] = ()
    violated: tuple[str, ...] = ()


def tell(design: Design, interface: Interface, asked: Asked, leak: Leak, folder: RunFolder) -> Told:
    """Replay `leak` on Verilator, explain it, and leave artifacts and tables in `folder`.

    Raises CheckFailedToRun when Verilator does not show it.
    """
    question = asked.question
    machine = question.machine()
    hops = divergence.trace(question, machine, leak)
    told = explanation.explain(question.graph, hops)
    registers = [
        question.graph.names[hop.net][0]
        for number, hop in enumerate(hops)
        if hop.net in question.graph.names
        and (number == 0 or (hop.cell is not None and hop.cell.is_register))
    ]
    whole = (_whole(question, machine, run) for run in leak.runs)
    first, second = (_longer(run) for run in whole)
    longer = replace(leak, runs=(first, second))
    shown = list(dict.fromkeys(registers))[:_MOST_REGISTERS]
    replayed = replay(design, interface, question, longer, show=shown, work=folder.work)
    _keep(replayed, interface, told, folder)
    folder.table("flow", (s.row(n) for n, s in enumerate(told.stations)))
    folder.table("waves", _waves(replayed, [s.bits.name for s in asked.observed], shown))
    return Told(
        explanation=told,
        stations=told.stations,
        differing=tuple(_differing(question, leak)),
        violated=tuple(_violated(asked, replayed)),
    )


def suspect(asked: Asked, flow: Taint, folder: RunFolder) -> Told | None:
    """The way by which an observed signal may depend on a secret, where nothing was decided."""
    graph = asked.question.graph
    way = next(iter(flow.reached.values()), None)
    if way is None:
        return None
    stations = explanation.by_structure(graph, way)
    folder.table("flow", (s.row(n) for n, s in enumerate(stations)))
    return Told(None, stations)


def _whole(question: Question, machine: Machine, run: Run) -> Run:
    """`run` with all bits of what is set after the reset, not only with those that are secret."""
    if not run.held:
        return run
    return replace(run, held={**divergence.state_after_reset(question, machine, run), **run.held})


def _longer(run: Run) -> Run:
    """`run` with its last inputs for some more cycles: what a leak leads to is seen later."""
    return replace(run, inputs=(*run.inputs, *[run.inputs[-1]] * _AFTERMATH))


def _differing(question: Question, leak: Leak) -> Iterator[str]:
    for _, key in shrink.differences(leak):
        yield question.graph.called(key) if isinstance(key, int) else f"{key[0]}[{key[1]}]"


def _violated(asked: Asked, replayed: Replay) -> Iterator[str]:
    """The observed signals that differ in the replay.

    After the leak only where no assumption and nothing declassified could excuse it.
    """
    first, second = (trace.values for trace in replayed.traces)
    excused = asked.question.shared or asked.question.assumed
    end = replayed.cycle + 1 if excused else len(first[replayed.signal])
    cycles = range(asked.question.first_observed, end)
    for signal in asked.observed:
        places = [asked.question.graph.names[net] for net in signal.nets]
        if any(
            (first[name][cycle] ^ second[name][cycle]) >> position & 1
            for name, position in places
            for cycle in cycles
        ):
            yield signal.bits.text


def _waves(
    replayed: Replay, observed: Iterable[str], registers: Iterable[str]
) -> Iterator[dict[str, str | int]]:
    """The values of both copies, cycle by cycle, as hexadecimal texts."""
    first, second = (trace.values for trace in replayed.traces)
    for name in dict.fromkeys([replayed.signal, *observed, *registers]):
        if name not in first:
            continue
        for copy, values in (("a", first[name]), ("b", second[name])):
            for cycle, value in enumerate(values):
                yield {"signal": name, "copy": copy, "cycle": cycle, "value": f"{value:x}"}


def _keep(replayed: Replay, interface: Interface, told: Explanation, folder: RunFolder) -> None:
    for trace, name in zip(replayed.traces, WAVES, strict=True):
        folder.keep(trace.waveform, name)
    text = {
        "about": "inputs of both copies by cycle (hexadecimal); an input that is not named keeps "
        "its value. A cycle: set inputs, sample, active clock edge.",
        "clock": interface.clock,
        "active_edge": "rising" if interface.rising else "falling",
        "observed": told.stations[-1].signal,
        "differs_in_cycle": replayed.cycle,
        "copies": [_stimulus(stimulus) for stimulus in replayed.stimuli],
    }
    file = folder.work / "stimuli.json"
    file.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    folder.keep(file, STIMULI)


def _stimulus(stimulus: Stimulus) -> dict[str, object]:
    """A stimulus with only those inputs in each cycle that change."""
    before: dict[str, int] = {}
    cycles = []
    for given in stimulus.cycles:
        cycles.append({name: f"{v:x}" for name, v in given.items() if before.get(name) != v})
        before = {**before, **given}
    return {
        "before_cycle_0": {name: f"{value:x}" for name, value in stimulus.before.items()},
        "cycles": cycles,
        "set": {n: [_poke(poke) for poke in pokes] for n, pokes in stimulus.pokes.items()},
    }


def _poke(poke: Poke) -> dict[str, object]:
    word = {} if poke.word is None else {"word": poke.word}
    return {"name": poke.name, **word, "value": f"{poke.value:x}"}
