"""How an operation is run so that it ends: values of control inputs, and the number of cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.bitsliced import LANES, Model, Simulation, simulation
from openforge.analysis.gates import Gates
from openforge.analysis.source import named
from openforge.analysis.stimulus import bits_of
from openforge.analysis.tape import tape
from openforge.engines.side_channel.roles import Roles
from openforge.engines.side_channel.stimulating import Campaign, Protocol, stimulus
from openforge.errors import CheckFailedToRun
from openforge.interface import Interface
from openforge.schema_crypto import SideChannelSection

MOST_CYCLES = 4096
"""Cycles that an operation may take."""

_LIMITS = (64, 256, 1024, MOST_CYCLES)
_MARGIN = 2  # cycles after the end: what the last edge stores is seen in the next cycle
_QUIET_LIMIT = 64
_SEARCH = 1 << 16  # numbers of campaigns that search, so that none has their random bits


@dataclass(frozen=True)
class Found:
    """A protocol, what a reader should know of it, and what makes it say too little."""

    protocol: Protocol
    said: tuple[str, ...]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Operation:
    """Controls with which operations end: when, and in how many traces of a batch."""

    held: Mapping[int, bool]
    end: int
    ended: int


def find(
    gates: Gates,
    roles: Roles,
    interface: Interface,
    given: Protocol,
    params: SideChannelSection,
) -> Found:
    """The protocol under which the operation ends, for `given` recorded inputs.

    Raises CheckFailedToRun when `done` never comes within `MOST_CYCLES` cycles.
    """
    searching = _Searching(gates, roles, given, params.seed)
    if params.cycles is not None:
        said = f"{params.cycles} cycles a trace: side_channel.cycles"
        found = replace(searching.both(), n_cycles=params.cycles)
        late = roles.done is not None and not searching.ends(found)
        doubts = ("side_channel.cycles ends traces before done comes",) if late else ()
        return Found(found, (said, *_controlled(roles, found)), doubts)
    if given.recorded:
        return _recorded(searching, interface)
    if roles.done is not None:
        return searching.ending(interface)
    if interface.done_cycles:
        cycles = interface.done_cycles + _MARGIN
        said = f"{cycles} cycles: interface.done.cycles, and {_MARGIN} more"
        found = replace(searching.both(), n_cycles=cycles)
        return Found(found, (said, *_controlled(roles, found)))
    return searching.quiet()


def _recorded(searching: _Searching, interface: Interface) -> Found:
    found = searching.given
    said = (f"public inputs as recorded, {found.n_cycles} cycles",)
    if searching.roles.done is not None:
        run = searching.simulation(found, Campaign("recorded", _SEARCH, searching.seed))
        last = _ends(run, searching.roles.done)
        if (last < 0).any():
            raise CheckFailedToRun(_never(interface, found.n_cycles))
    return Found(found, said)


class _Searching:
    def __init__(self, gates: Gates, roles: Roles, given: Protocol, seed: int) -> None:
        self.gates, self.roles, self.given, self.seed = gates, roles, given, seed
        self._tape = tape(gates, {})  # one for all that is tried

    def simulation(self, protocol: Protocol, campaign: Campaign) -> Simulation:
        """The simulation of settled values, whatever is searched for."""
        made = stimulus(self.roles, protocol, campaign)
        return simulation(self.gates, made, Model.HAMMING_DISTANCE, campaign.key, self._tape)

    def ending(self, interface: Interface) -> Found:
        """A start and controls with which `done` comes, in all of a batch of random traces."""
        for limit in _LIMITS:
            for pulse in (True, False):
                tried = replace(self.given, n_cycles=limit, pulse=pulse)
                settings, share = self._settings(tried)
                if settings and share < 1:  # others may take longer
                    tried = replace(tried, n_cycles=MOST_CYCLES)
                    settings, share = self._settings(tried)
                found = [self._operation(tried, held) for held in settings]
                ended = tuple(operation for operation in found if operation is not None)
                if ended:
                    return self._described(tried, ended, share)
        raise CheckFailedToRun(_never(interface, MOST_CYCLES))

    def _settings(self, tried: Protocol) -> tuple[list[Mapping[int, bool]], float]:
        """The setting that ends first, and of those that end the one that differs most from it.

        With them the share of all settings that end.
        """
        nets = [net for carrier in self.roles.controls for net in carrier.nets]
        if not nets:
            return [{}], 1.0
        assert self.roles.done is not None
        campaign = Campaign("search", _SEARCH + tried.pulse, self.seed, setting=None)
        run = self.simulation(tried, campaign)
        ends = _ends(run, self.roles.done)
        ended = np.flatnonzero(ends >= 0)
        if not len(ended):
            return [], 0.0
        values = bits_of(run.values(0, nets)[0]).reshape(len(nets), LANES)
        ones = values.sum(axis=0)
        best = min(ended, key=lambda lane: (ends[lane], ones[lane], lane))
        distance = (values != values[:, [best]]).sum(axis=0)
        other = max(ended, key=lambda lane: (distance[lane], -ends[lane], -lane))
        lanes = [best, other] if distance[other] else [best]
        settings = [{net: bool(values[n, lane]) for n, net in enumerate(nets)} for lane in lanes]
        return list(settings), len(ended) / LANES

    def _operation(self, tried: Protocol, held: Mapping[int, bool]) -> _Operation | None:
        """The operation with controls `held`; None if it does not end whatever the secrets are."""
        protocol = replace(tried, controls=(held,))
        ends = self._ends(protocol, public_random=False)
        if (ends < 0).any():
            return None
        later = self._ends(protocol, public_random=True) if self.roles.data else ends
        if (later < 0).any():
            later = self._ends(replace(protocol, n_cycles=MOST_CYCLES), public_random=True)
        if (later >= 0).sum() < LANES // 2:  # a length of 0, say, may have no end
            return None
        return _Operation(held, int(max(ends.max(), later.max())), int((later >= 0).sum()))

    def _ends(self, protocol: Protocol, *, public_random: bool) -> NDArray[np.int64]:
        """When `done` comes in each trace of a batch; -1 where it does not."""
        campaign = Campaign("try", _SEARCH + 2, self.seed, public_random=public_random)
        assert self.roles.done is not None
        return _ends(self.simulation(protocol, campaign), self.roles.done)

    def _described(self, tried: Protocol, ended: Sequence[_Operation], share: float) -> Found:
        end = max(operation.end for operation in ended)
        found = replace(
            tried,
            controls=tuple(operation.held for operation in ended),
            n_cycles=end + 1 + _MARGIN,
            done_cycle=end,
        )
        said = []
        if self.roles.start is not None:
            said.append("start is 1 in cycle 0" + (" only" if found.pulse else " and stays"))
        said += _controlled(self.roles, found)
        if share < 1:
            said.append(f"of random settings of the controls, {share:.0%} end")
        least = min(operation.ended for operation in ended)
        traces = f"{least} of {LANES} traces" if least < LANES else f"all of {LANES} traces"
        said.append(f"done comes by cycle {end} in {traces}; a trace has {found.n_cycles} cycles")
        return Found(found, tuple(said))

    def quiet(self) -> Found:
        """Until nothing moves any more when randomness is drawn once, or a limit."""
        given, last = self.both(), 0
        for number in range(len(given.controls)):
            campaign = Campaign(
                "quiet", _SEARCH + 4 + number, self.seed, fresh=False, setting=number
            )
            run = self.simulation(replace(given, n_cycles=_QUIET_LIMIT), campaign)
            moving = np.flatnonzero(run.power(0, 1).any(axis=0))
            last = max(last, int(moving[-1]) if len(moving) else 0)
        cycles = min(last + 1 + _MARGIN, _QUIET_LIMIT)
        said = f"{cycles} cycles a trace: no done is declared, and nothing moves after cycle {last}"
        doubts: tuple[str, ...] = ()
        if cycles == _QUIET_LIMIT:
            said = f"{cycles} cycles a trace: no done is declared"
            doubts = (
                f"the design is still busy after {cycles} cycles, where traces end: declare "
                "interface.done, or side_channel.cycles",
            )
        found = replace(given, n_cycles=cycles)
        return Found(found, (said, *_controlled(self.roles, found)), doubts)

    def ends(self, protocol: Protocol) -> bool:
        """Whether operations end within the cycles of `protocol`, in at least one setting."""
        return any(
            (self._ends(replace(protocol, controls=(held,)), public_random=False) >= 0).all()
            for held in protocol.controls
        )

    def both(self) -> Protocol:
        """The given protocol with all controls 0, and then 1: what they do is not known."""
        nets = [net for carrier in self.roles.controls for net in carrier.nets]
        if not nets:
            return self.given
        return replace(self.given, controls=(dict.fromkeys(nets, False), dict.fromkeys(nets, True)))


def _controlled(roles: Roles, protocol: Protocol) -> list[str]:
    """What is said of public inputs of one bit: each setting with its campaigns."""
    names = {carrier.nets[0]: carrier.text for carrier in roles.controls}
    if not names:
        return []
    return [
        f"controls {number}: "
        + ", ".join(f"{names[net]} = {int(value)}" for net, value in held.items())
        for number, held in enumerate(protocol.controls, start=1)
    ]


def _ends(run: Simulation, done: int) -> NDArray[np.int64]:
    """The first cycle in which `done` is 1 after it was 0, a trace of batch 0; -1 for none."""
    found = bits_of(run.values(0, [done])).reshape(run.n_cycles, LANES)
    vector = run.tape.vector[done]
    idle = bool(run.start[vector] ^ run.tape.complemented[vector]) if vector >= 0 else True
    before = np.concatenate([np.full((1, LANES), idle), found[:-1]])
    rises = found & ~before
    return np.where(rises.any(axis=0), rises.argmax(axis=0), -1)


def _never(interface: Interface, cycles: int) -> str:
    done = named(interface.done.text) if interface.done else "done"
    start = f"after '{named(interface.start.text)}'" if interface.start else "after the reset"
    return (
        f"'{done}' does not come within {cycles} cycles {start}, in all traces: the operation that "
        "would be measured does not end. Is interface.done right, is there an interface.start, do "
        "interface.constants put the design into its working mode? Or record the public inputs: "
        "side_channel.stimulus"
    )
