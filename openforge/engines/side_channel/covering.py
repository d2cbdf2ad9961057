"""What traces do not reach although secrets could: too short a window, shares without effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from openforge.analysis.bitsliced import Model, Simulation, simulation
from openforge.analysis.stimulus import Stimulus
from openforge.engines.side_channel.assessing import Assessed
from openforge.engines.side_channel.roles import Carrier, registers_of
from openforge.engines.side_channel.stimulating import stimulus
from openforge.engines.side_channel.subject import Subject
from openforge.engines.side_channel.writing import Places

_AFTER = 256  # cycles that are simulated on, for one batch
_MOST_NAMED = 6


@dataclass(frozen=True)
class Covered:
    """What makes that nothing was found say too little, and what a reader should know."""

    doubts: tuple[str, ...]
    said: tuple[str, ...]


def cover(subject: Subject, assessed: Sequence[Assessed], places: Places) -> Covered:
    """Whether what depends on secrets was at work in the traces.

    Doubts are: nothing changes; no register does that secrets reach; registers change only after
    the traces end; a share or secret changes no register, so that what uses it does not happen.
    """
    moved = frozenset[int]().union(*(found.moved for found in assessed))
    carriers = subject.roles.carriers
    own = {net for carrier in carriers for net in carrier.nets}
    every = registers_of(subject.gates, own)
    if not moved or (every and moved.isdisjoint(every)):
        what = "no register that the secrets reach" if moved else "no net"
        text = f"{what} changes in any trace: is the reset's active level right, is there a start?"
        return Covered((text,), ())
    doubts, never = [], every - moved
    late = never & _late(subject, assessed)
    if late:
        doubts.append(
            f"{_names(late, places)} change only after the traces end: declare interface.done, or "
            "longer traces with side_channel.cycles"
        )
    idle = [c.text for c in carriers if _reaches(subject, c) and not _acts(subject, assessed, c)]
    if idle:
        doubts.append(
            f"{', '.join(idle)} changes no register in any trace: the operation that uses it does "
            "not take place"
        )
    said = (
        [
            f"{len(never)} of {len(every)} registers that secrets reach never change: "
            f"{_names(never, places)}"
        ]
        if never
        else []
    )
    return Covered(tuple(doubts), tuple(said))


def _names(nets: set[int], places: Places) -> str:
    names = sorted({places.name(net).partition("[")[0] for net in nets})
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _late(subject: Subject, assessed: Sequence[Assessed]) -> set[int]:
    """The nets that change in the cycles after the traces, in one batch of each campaign."""
    found: set[int] = set()
    for one in assessed:
        protocol = subject.how.protocol
        longer = replace(protocol, n_cycles=protocol.n_cycles + _AFTER)
        run = _run(subject, one, stimulus(subject.roles, longer, one.campaign))
        counts = run.toggles(0, 1, protocol.n_cycles, longer.n_cycles)[..., 1].sum(axis=0)
        pairs = enumerate(run.tape.vector.tolist())
        found.update(net for net, vector in pairs if vector >= 0 and counts[vector])
    return found


def _reaches(subject: Subject, carrier: Carrier) -> bool:
    """Whether a carrier reaches a register other than itself."""
    return bool(registers_of(subject.gates, carrier.nets) - set(carrier.nets))


def _acts(subject: Subject, assessed: Sequence[Assessed], carrier: Carrier) -> bool:
    """Whether other values of `carrier`, all else being the same, change a register."""
    registers = sorted(registers_of(subject.gates, carrier.nets) - set(carrier.nets))
    for one in assessed:
        given = stimulus(subject.roles, subject.how.protocol, one.campaign)
        first = _run(subject, one, given)
        second = _run(subject, one, _without(given, carrier))
        if not np.array_equal(first.values(0, registers), second.values(0, registers)):
            return True
    return False


def _without(given: Stimulus, carrier: Carrier) -> Stimulus:
    """The stimulus with zeros instead of what `carrier` carries."""
    nets = set(carrier.nets)
    events = tuple(
        {net: 0 if net in nets else source for net, source in cycle.items()}
        for cycle in given.events
    )
    pokes = {net: 0 if net in nets else source for net, source in given.pokes.items()}
    return replace(given, events=events, pokes=pokes)


def _run(subject: Subject, found: Assessed, given: Stimulus) -> Simulation:
    return simulation(
        subject.gates, given, Model.HAMMING_DISTANCE, found.campaign.key, found.settled_tape
    )
