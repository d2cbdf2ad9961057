"""Stimuli from roles: reset, start, secrets by class, shares, fresh randomness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from openforge.analysis.stimulus import (
    CLASS_SLOT,
    FRESH,
    LANES,
    WORDS,
    Draw,
    ShareGroup,
    Source,
    Stimulus,
    Sum,
    Variable,
    key_of,
)
from openforge.engines.side_channel.roles import Carrier, Roles

_SLOTS_OF_A_SHARE = LANES // WORDS


class Classes(StrEnum):
    """What the two classes of traces differ in."""

    SECRETS = "fixed against random secrets"
    BIT = "one secret bit, all others random"
    NONE = "nothing: all secrets are fixed"


@dataclass(frozen=True)
class Protocol:
    """How an operation is run.

    `controls` are values at which public inputs of one bit are held: one setting or two, each
    with campaigns of its own. `pulse` says that start is 1 in cycle 0 only, else it stays.
    `recorded` are values of public inputs by cycle, instead.
    """

    controls: tuple[Mapping[int, bool], ...] = ({},)
    pulse: bool = True
    n_cycles: int = 1
    done_cycle: int | None = None
    recorded: tuple[Mapping[int, bool], ...] = ()


@dataclass(frozen=True)
class Campaign:
    """Traces of one kind: with one fixed secret, and public data either fixed or random.

    `number` decides the key of everything random, `seed` is the check's. The fixed secret is 0 if
    `zero`, where effects of many bits add up, else a random one. `bit` is the secret bit that
    `Classes.BIT` compares, counted over all that are not shared by sums; `setting` is the number
    of the protocol's setting of the controls, None for controls that are drawn for each trace.
    """

    name: str
    number: int
    seed: int
    classes: Classes = Classes.SECRETS
    public_random: bool = False
    zero: bool = False
    bit: int = 0
    setting: int | None = 0
    fresh: bool = True  # randoms change in every cycle

    @property
    def key(self) -> int:
        """The key of the simulation."""
        return key_of(self.seed, self.number)


def stimulus(roles: Roles, protocol: Protocol, campaign: Campaign) -> Stimulus:
    """The stimulus of `campaign` for a design with `roles`."""
    return _Maker(roles, protocol, campaign).stimulus()


class _Maker:
    def __init__(self, roles: Roles, protocol: Protocol, campaign: Campaign) -> None:
        self._roles, self._protocol, self._campaign = roles, protocol, campaign
        self._values = np.random.Generator(np.random.Philox(campaign.key))
        self._slots = CLASS_SLOT + 1
        self._variables: list[Variable] = []
        self._groups: list[ShareGroup] = []
        self._events: list[dict[int, Source]] = [{} for _ in range(protocol.n_cycles)]
        self._pokes: dict[int, Source] = {}
        self._idle: dict[int, bool] = {}
        self._n_secrets = 0

    def stimulus(self) -> Stimulus:
        roles, campaign = self._roles, self._campaign
        for carrier in roles.secrets:
            self._set(carrier, [self._secret() for _ in carrier.nets])
        for sharing in roles.sharings:
            bits = self._arithmetic if sharing.modulus else self._boolean
            for carrier, sources in zip(
                sharing.of,
                bits(len(sharing.of[0].nets), len(sharing.of), sharing.modulus or 0),
                strict=True,
            ):
                self._set(carrier, sources)
        for carrier in roles.data:
            self._public(carrier, random=campaign.public_random)
        for carrier in roles.controls:
            if campaign.setting is None:
                self._public(carrier, random=True)
            else:
                held = self._protocol.controls[campaign.setting]
                self._idle |= {net: held.get(net, False) for net in carrier.nets}
        self._start()
        self._record()
        self._randoms()
        return Stimulus(
            n_cycles=self._protocol.n_cycles,
            n_slots=self._slots,
            variables=tuple(self._variables),
            groups=tuple(self._groups),
            prologue=tuple(self._prologue()),
            events=tuple(self._events),
            pokes=self._pokes,
        )

    def _slot(self, count: int = 1) -> int:
        self._slots += count
        return self._slots - count

    def _variable(self, draw: Draw, x: int = 0, y: int = 0, *, random: bool = False) -> Source:
        self._variables.append(Variable(draw, x, y, self._slot() if random else 0))
        return 2 + len(self._variables) - 1

    def _secret(self) -> Source:
        """A bit of a secret."""
        fixed = int(self._values.integers(2)) if not self._campaign.zero else 0
        chosen = self._n_secrets == self._campaign.bit
        self._n_secrets += 1
        if self._campaign.classes is Classes.NONE:
            return self._variable(Draw.CONSTANT, fixed)
        if self._campaign.classes is Classes.BIT:
            return self._variable(Draw.CLASS if chosen else Draw.RANDOM, random=not chosen)
        return self._variable(Draw.SECRET, fixed, random=True)

    def _boolean(self, width: int, n_shares: int, _: int) -> list[list[Source]]:
        """Shares whose xor is a secret; all but the last are uniform."""
        shares: list[list[Source]] = [[] for _ in range(n_shares)]
        for _ in range(width):
            left = self._secret()
            for share in shares[:-1]:
                mask = self._variable(Draw.RANDOM, random=True)
                share.append(mask)
                left = self._variable(Draw.XOR, left - 2, mask - 2)
            shares[-1].append(left)
        return shares

    def _arithmetic(self, width: int, n_shares: int, modulus: int) -> list[list[Source]]:
        """Shares whose sum modulo `modulus` is a secret."""
        number = len(self._groups)
        sums = {Classes.SECRETS: Sum.BY_CLASS, Classes.BIT: Sum.RANDOM, Classes.NONE: Sum.FIXED}
        fixed = int(self._values.integers(modulus, dtype=np.uint64))
        fixed = 0 if self._campaign.zero else fixed
        slot = self._slot(n_shares * _SLOTS_OF_A_SHARE)
        kind = sums[self._campaign.classes]
        self._groups.append(ShareGroup(modulus, fixed, n_shares, width, slot, kind))
        significant = min(width, (modulus - 1).bit_length())
        return [
            [
                self._variable(Draw.SHARE, number, share * width + bit) if bit < significant else 0
                for bit in range(width)
            ]
            for share in range(n_shares)
        ]

    def _set(self, carrier: Carrier, sources: Sequence[Source]) -> None:
        for net, source in zip(carrier.nets, sources, strict=True):
            if not net:
                continue
            if carrier.stored:
                self._pokes[net] = source
            else:
                self._idle[net] = False
                self._events[0][net] = source

    def _public(self, carrier: Carrier, *, random: bool) -> None:
        fixed = self._values.integers(2, size=len(carrier.nets))
        for net, value in zip(carrier.nets, fixed.tolist(), strict=True):
            self._idle[net] = bool(value) and not random
            if random:
                self._events[0][net] = self._variable(Draw.RANDOM, random=True)

    def _start(self) -> None:
        start = self._roles.start
        if start is None:
            return
        self._idle[start] = False
        self._events[0][start] = 1
        if self._protocol.pulse and self._protocol.n_cycles > 1:
            self._events[1][start] = 0

    def _record(self) -> None:
        """What a recorded stimulus says, instead of what was planned for the same input."""
        rows = self._protocol.recorded[: self._protocol.n_cycles]
        for net in {net for row in rows for net in row}:
            for events in self._events:
                events.pop(net, None)
            self._idle[net] = False
        for events, row in zip(self._events, rows, strict=False):
            events |= {net: int(value) for net, value in row.items()}

    def _randoms(self) -> None:
        for carrier in self._roles.randoms:
            if carrier.stored:
                drawn = [self._variable(Draw.RANDOM, random=True) for _ in carrier.nets]
                self._set(carrier, drawn)
        nets = [net for c in self._roles.randoms if not c.stored for net in c.nets if net]
        self._idle |= dict.fromkeys(nets, False)
        for events in self._events if self._campaign.fresh else self._events[:1]:
            first = self._slot(len(nets))
            events |= {net: FRESH + first + n for n, net in enumerate(nets)}

    def _prologue(self) -> list[dict[int, bool]]:
        idle = self._idle | dict(self._roles.constants)
        if self._roles.reset is None:
            return [idle]
        net, active = self._roles.reset
        idle[net] = not active
        return [idle | {net: active}] * self._roles.reset_cycles + [idle]
