"""Coverage of state machines: declared states and arcs, and which of them the waveforms show.

Simulator-independent: the design says what is declared, a waveform of the state register what
happened. What a reset does to the register is not counted, neither for nor against the design:
otherwise a reset during a test would "cover" the arc back to the first state.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openforge.design import Design, Fsm, Reset
from openforge.engines.simulation.coverage import Share
from openforge.errors import ToolError
from openforge.model import Finding, Level
from openforge.tools import waves
from openforge.tools.waves import Changes


@dataclass
class Machine:
    """What was seen of one state machine, over all waveforms so far."""

    fsm: Fsm
    states: Counter[str] = field(default_factory=Counter)
    arcs: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: Counter[int] = field(default_factory=Counter)

    @property
    def declared_arcs(self) -> tuple[tuple[str, str], ...]:
        """The declared arcs that a waveform can show: staying in a state is no change."""
        return tuple(dict.fromkeys(arc for arc in self.fsm.arcs if arc[0] != arc[1]))


def measure(design: Design, files: Sequence[Path], work: Path) -> tuple[Machine, ...]:
    """What `files` (waveforms of the design as top) show of the design's state machines.

    Raises ToolError when a waveform cannot be read or lacks a state register.
    """
    machines = tuple(Machine(fsm) for fsm in design.fsms)
    signals = [signal_names(design.top, m.fsm.signal) for m in machines]
    signals += [signal_names(design.top, reset.signal) for reset in design.resets]
    for file, found in zip(files, waves.read(files, signals, work), strict=True):
        resets = [
            (changes, reset)
            for changes, reset in zip(found[len(machines) :], design.resets, strict=True)
            if changes
        ]
        for machine, changes in zip(machines, found, strict=False):
            if changes is None:
                raise ToolError(
                    f"the waveform of {file.parent.name} has no signal '{machine.fsm.signal}', "
                    "so the coverage of its state machine cannot be measured"
                )
            observe(machine, changes, resets)
    return machines


def observe(machine: Machine, changes: Changes, resets: Sequence[tuple[Changes, Reset]]) -> None:
    """Count in `machine` what one waveform shows: states held and arcs taken outside of reset.

    Nothing counts before the first reset, if the waveform has one. A change at the very time at
    which a synchronous reset is asserted still belongs to the clock edge before it.
    """
    names = {state.value: state.name for state in machine.fsm.states}
    ready = not any(_asserted(v, reset) for series, reset in resets for _, v in series)
    levels: list[int | None] = [None] * len(resets)
    value: int | None = None
    for which, new in _merged([changes, *(series for series, _ in resets)]):
        before, old = _active(levels, resets), value
        for index, level in zip(which, new, strict=True):
            if index == 0:
                value = level
            else:
                levels[index - 1] = level
        during = _active(levels, resets)
        by_reset = before or (during and _active(levels, resets, asynchronous=True))
        if ready and not by_reset and old is not None and value not in (None, old):
            _take(machine, names, old, value)
        ready = ready or during
        if ready and not during and value is not None and (before or old != value):
            _enter(machine, names, value)


def _merged(
    series: Sequence[Changes],
) -> Iterator[tuple[tuple[int, ...], tuple[int | None, ...]]]:
    """The changes of all `series` in order of time: which of them change, and to what."""
    tagged = [[(t, i, v) for t, v in changes] for i, changes in enumerate(series)]
    in_order = heapq.merge(*tagged, key=lambda change: change[0])
    for _, group in itertools.groupby(in_order, key=lambda change: change[0]):
        changed = list(group)
        yield tuple(i for _, i, _ in changed), tuple(v for _, _, v in changed)


def share(machines: Iterable[Machine]) -> Share | None:
    """States and arcs hit of those declared; None for a design without state machines."""
    hit = total = 0
    for machine in machines:
        arcs = machine.declared_arcs
        total += len(machine.fsm.states) + len(arcs)
        hit += sum(machine.states[state.name] > 0 for state in machine.fsm.states)
        hit += sum(machine.arcs[arc] > 0 for arc in arcs)
    return Share(hit, total) if total else None


def rows(machines: Iterable[Machine]) -> list[Mapping[str, Any]]:
    """The rows of the table ``coverage``."""
    found: list[Mapping[str, Any]] = []
    for machine in machines:
        place = machine.fsm.location
        common = {
            "file": place.file if place else None,
            "line": place.line if place else None,
            "scope": machine.fsm.signal,
        }
        found += [
            {"kind": "fsm_state", "name": s.name, "hits": machine.states[s.name], **common}
            for s in machine.fsm.states
        ]
        found += [
            {"kind": "fsm_arc", "name": f"{a} -> {b}", "hits": machine.arcs[a, b], **common}
            for a, b in machine.declared_arcs
        ]
    return found


def findings(machines: Iterable[Machine]) -> tuple[Finding, ...]:
    """States and arcs that no test reached, and what happened without being declared."""
    found: list[Finding] = []
    for machine in machines:
        fsm = machine.fsm
        unseen = [s.name for s in fsm.states if not machine.states[s.name]]
        missed = [arc for arc in machine.declared_arcs if not machine.arcs[arc]]
        strange = sorted(set(machine.arcs) - set(machine.declared_arcs))
        texts = [("fsm-state", f"no test reaches state {name}") for name in unseen]
        texts += [("fsm-arc", f"no test takes the arc {a} -> {b}") for a, b in missed]
        texts += [
            ("fsm-undeclared-arc", f"a test saw {a} -> {b}, which no case of the source declares")
            for a, b in strange
        ]
        texts += [
            ("fsm-unknown-state", f"a test saw the value {value}, which is no declared state")
            for value in sorted(machine.unknown)
        ]
        found += [
            Finding(
                rule=rule,
                level=Level.WARNING,
                message=f"{fsm.signal}: {text}",
                location=fsm.location,
                tool="openforge",
            )
            for rule, text in texts
        ]
    return tuple(found)


def signal_names(top: str, signal: str) -> list[str]:
    """The full names that simulators give a signal below the top module."""
    return [f"{top}.{signal}", f"TOP.{top}.{signal}", f"$rootio.{signal}", f"TOP.{signal}"]


def _take(machine: Machine, names: Mapping[int, str], old: int, new: int | None) -> None:
    if new is not None and old in names and new in names:
        machine.arcs[names[old], names[new]] += 1


def _enter(machine: Machine, names: Mapping[int, str], value: int) -> None:
    if value in names:
        machine.states[names[value]] += 1
    else:
        machine.unknown[value] += 1


def _asserted(level: int | None, reset: Reset) -> bool:
    return level == (0 if reset.active_low else 1)


def _active(
    levels: Sequence[int | None],
    resets: Sequence[tuple[Changes, Reset]],
    *,
    asynchronous: bool = False,
) -> bool:
    """Whether one of the resets is asserted; if `asynchronous`, of those that need no clock."""
    return any(
        _asserted(level, reset) and (reset.asynchronous or not asynchronous)
        for level, (_, reset) in zip(levels, resets, strict=True)
    )
