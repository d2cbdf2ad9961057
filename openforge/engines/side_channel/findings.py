"""The findings of the check: what leaks, where, and the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from openforge.analysis import detection
from openforge.engines.side_channel.localising import beginning
from openforge.engines.side_channel.replaying import STIMULI, WAVES
from openforge.engines.side_channel.writing import POWER_TRACE, TVLA, Places
from openforge.model import Finding, Level, Location
from openforge.schema_crypto import SideChannelSection

if TYPE_CHECKING:
    from openforge.engines.side_channel.checking import Looked

_MOST_FINDINGS = 10


def findings(params: SideChannelSection, looked: Looked, places: Places) -> Iterator[Finding]:
    """What leaks: the recovered key, the power, then nets and probes, a line of the source once."""
    evidence = tuple(f"artifacts/{name}" for name in (*WAVES, STIMULI, TVLA, POWER_TRACE))
    if looked.attacked and looked.recovered:
        positions = ", ".join(map(str, looked.recovered))
        yield Finding(
            rule="key-recovered",
            level=Level.ERROR,
            message=f"correlation with {looked.attacked.target} recovers key byte {positions} from "
            f"{looked.attacked.n_traces} traces",
            tool="side_channel",
        )
    if looked.rejected:
        best, order, cycle = looked.strongest
        t = float(best.t.t[best.t.orders.index(order), cycle])
        traces = detection.traces_to_detect(t, best.n_traces, params.tvla_threshold)
        suspect = next((s for s in looked.leaking if s.cycle == cycle), None)
        net = suspect or next(iter(looked.leaking), None)
        yield Finding(
            rule="power-leak",
            level=Level.ERROR,
            message=f"the power of cycle {cycle} differs between the classes: t = {t:.1f} (order "
            f"{order}, {best.campaign.name}); about {traces} traces show it",
            location=places.location(net.net) if net else None,
            tool="side_channel",
            evidence=evidence,
        )
    seen = set[Location | None]()
    first = [beginning(looked.leaking)] if looked.leaking else []
    for suspect in (*first, *looked.leaking):
        place = places.location(suspect.net)
        if place in seen or len(seen) == _MOST_FINDINGS:
            continue
        seen.add(place)
        through = f", which sees {_members(suspect.members, places)}," if suspect.members else ""
        what = "a probe on" if suspect.kind == "probing set" else "how often"
        verb = "depends" if suspect.kind == "probing set" else "changes depends"
        yield Finding(
            rule="leaking-probe" if suspect.kind == "probing set" else "leaking-net",
            level=Level.ERROR,
            message=f"{what} {places.name(suspect.net)}{through} {verb} on the secrets from cycle "
            f"{suspect.first} on, most in cycle {suspect.cycle} ({suspect.series}; p = "
            f"10^-{suspect.log10_p:.0f})",
            location=place,
            tool="side_channel",
            evidence=evidence[:3],
        )


def _members(nets: tuple[int, ...], places: Places) -> str:
    names = [places.name(net) for net in nets[:6]]
    return ", ".join(names) + (f" and {len(nets) - 6} more" if len(nets) > 6 else "")
