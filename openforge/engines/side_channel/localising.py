"""Where it leaks: nets and probing sets whose tests reject, where each begins and is strongest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openforge.engines.side_channel.assessing import Assessed, Family


@dataclass(frozen=True)
class Suspect:
    """A net, or a probe on it, in the cycle in which its test is strongest.

    `first` is the first cycle in which the test rejects, `members` are the nets that a probe sees.
    """

    kind: str
    net: int
    series: str
    cycle: int
    first: int
    statistic: float
    log10_p: float
    members: tuple[int, ...] = ()


def leaking(assessed: Sequence[Assessed], tested: Mapping[str, Family]) -> tuple[Suspect, ...]:
    """What leaks, the strongest first: each net and probing set once."""
    found: dict[tuple[str, int, tuple[int, ...]], Suspect] = {}
    for one in assessed:
        for suspect in _of(one, tested):
            key = suspect.kind, suspect.net, suspect.members
            other = found.get(key)
            if other is None or suspect.log10_p > other.log10_p:
                found[key] = suspect
    return tuple(sorted(found.values(), key=lambda suspect: -suspect.log10_p))


def beginning(suspects: Sequence[Suspect]) -> Suspect:
    """Where the leak begins: of what leaks first, the strongest."""
    return min(suspects, key=lambda suspect: (suspect.first, -suspect.log10_p))


def strongest_nets(found: Assessed, count: int) -> list[int]:
    """The nets with the smallest p, whether they leak or not."""
    strength = found.net_log10_p.max(axis=0)
    best = np.argsort(-strength, kind="stable")[:count]
    return [found.net_of[int(vector)] for vector in best if strength[vector] > 0]


def _of(found: Assessed, tested: Mapping[str, Family]) -> Iterator[Suspect]:
    if "net" in tested:
        rejects = found.net_log10_p > tested["net"].log10_p
        for vector in np.flatnonzero(rejects.any(axis=0)).tolist():
            log10_p = found.net_log10_p[:, vector]
            cycle = int(log10_p.argmax())
            yield Suspect(
                kind="net",
                net=found.net_of[vector],
                series=found.campaign.name,
                cycle=cycle,
                first=int(rejects[:, vector].argmax()),
                statistic=float(found.z[cycle, vector]),
                log10_p=float(log10_p[cycle]),
            )
    if found.probes is not None and "probing set" in tested:
        rejects = found.set_log10_p > tested["probing set"].log10_p
        for number in np.flatnonzero(rejects.any(axis=1)).tolist():
            log10_p = found.set_log10_p[number]
            cycle = int(log10_p.argmax())
            members = (found.net_of[v] for v in found.probes.sets[number].vectors)
            yield Suspect(
                kind="probing set",
                net=found.probes.nets[number],
                series=found.campaign.name,
                cycle=cycle,
                first=int(rejects[number].argmax()),
                statistic=float(found.set_deviate[number, cycle]),
                log10_p=float(log10_p[cycle]),
                members=tuple(dict.fromkeys(members)),
            )
