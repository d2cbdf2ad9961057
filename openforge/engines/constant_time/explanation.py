"""A leak told as a way through the source: from the secret, by what it decides, to who sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from openforge.analysis.cells import Graph
from openforge.analysis.divergence import Hop
from openforge.analysis.source import location
from openforge.model import Location, Record


class Role(StrEnum):
    """What a station of the way is."""

    SECRET = "secret"  # noqa: S105  (a role, not a password)
    REGISTER = "register"
    MEMORY = "memory"
    DECISION = "decision"  # the difference chooses between values: a branch, an enable, an address
    WIRE = "wire"
    OBSERVED = "observed"


class Station(Record):
    """A signal on the way of a leak. `cycle` is when it differs there; None: by structure."""

    signal: str
    role: Role
    cycle: int | None
    location: Location | None

    def row(self, position: int) -> dict[str, str | int | None]:
        """Its line in the table ``flow``."""
        place = self.location
        return {
            "position": position,
            "signal": self.signal,
            "role": self.role.value,
            "cycle": self.cycle,
            "file": place.file if place else None,
            "line": place.line if place else None,
        }


class Explanation(Record):
    """`stations` from the secret to what is observed; the two others are among them, if any."""

    stations: tuple[Station, ...]
    decision: Station | None
    diverging: Station | None

    def sentence(self, differing: int) -> str:
        """What happens, for a finding; `differing` is the number of secret bits that differ."""
        secret, seen = self.stations[0], self.stations[-1]
        only = f"only {secret.signal} differs" if differing == 1 else f"{secret.signal} differs"
        text = f"{seen.signal} differs in cycle {seen.cycle} when {only}"
        if self.decision:
            place = f" at {self.decision.location}" if self.decision.location else ""
            text += f": it decides{place} in cycle {self.decision.cycle}"
        if self.diverging:
            text += f"; the first register to go another way is {self.diverging.signal}"
            text += f" in cycle {self.diverging.cycle}"
        return text


def explain(graph: Graph, hops: Sequence[Hop]) -> Explanation:
    """The way `hops` with what a reader wants to know: places, the decision, the first register.

    Of a register that keeps or shifts a difference for many cycles only its ends are told.
    """
    stations = _without_shifts(list(_stations(graph, hops)))
    decision = next((n for n, s in enumerate(stations) if s.role is Role.DECISION), None)
    after = stations[decision + 1 :] if decision is not None else stations[1:]
    register = next((s for s in after if s.role is Role.REGISTER), None)
    if register is None and stations[-1].role is Role.OBSERVED and hops[-1].cell is not None:
        register = stations[-1] if hops[-1].cell.is_register else None
    return Explanation(
        stations=stations,
        decision=stations[decision] if decision is not None else None,
        diverging=register,
    )


def by_structure(graph: Graph, way: Sequence[int]) -> tuple[Station, ...]:
    """The nets of `way`, by which the last may depend on the first, without saying that it does."""
    found = []
    for number, bit in enumerate(way):
        driver = graph.drivers.get(bit)
        cell = driver.cell if driver else None
        role = Role.WIRE
        if cell is not None and cell.is_register:
            role = Role.REGISTER
        if cell is not None and cell.is_memory:
            role = Role.MEMORY
        role = Role.SECRET if number == 0 else role
        role = Role.OBSERVED if number == len(way) - 1 else role
        if bit in graph.names or role in (Role.SECRET, Role.OBSERVED):
            src = cell.src if cell else _named_src(graph, bit)
            found.append(
                Station(signal=graph.called(bit), role=role, cycle=None, location=location(src))
            )
    return tuple(found)


def _without_shifts(stations: Sequence[Station]) -> tuple[Station, ...]:
    """Of neighbours that are bits of one register, as in a shift register, the first and last."""

    def same(one: int, other: int) -> bool:
        pair = (stations[one], stations[other])
        names = {station.signal.rpartition("[")[0] or station.signal for station in pair}
        return len(names) == 1 and all(s.role is Role.REGISTER for s in pair)

    last = len(stations) - 1
    return tuple(
        station
        for n, station in enumerate(stations)
        if not (0 < n < last and same(n - 1, n) and same(n, n + 1))
    )


def _stations(graph: Graph, hops: Sequence[Hop]) -> Iterator[Station]:
    last = len(hops) - 1
    for number, hop in enumerate(hops):
        if hop.port == "Q" and number != last:  # it keeps what it has
            continue
        role = _role(hop, number, last)
        if role is Role.WIRE and hop.net not in graph.names:
            continue
        if role is Role.DECISION:
            yield _decision(graph, hop, hops[number - 1])
        else:
            yield Station(
                signal=_called(graph, hop),
                role=role,
                cycle=hop.cycle,
                location=location(_src(graph, hop)),
            )


def _called(graph: Graph, hop: Hop) -> str:
    """The name of a net; a word that is read from a memory need not have one."""
    if hop.net in graph.names or hop.cell is None or not hop.cell.is_memory:
        return graph.called(hop.net)
    position = hop.cell.outputs["RD_DATA"].index(hop.net) % hop.cell.number("WIDTH")
    return f"bit {position} of {hop.cell.memory_name}"


def _role(hop: Hop, number: int, last: int) -> Role:
    if number == last:
        return Role.OBSERVED
    if number == 0:
        return Role.SECRET
    if hop.decides:
        return Role.DECISION
    assert hop.cell is not None
    if hop.cell.is_register:
        return Role.REGISTER
    return Role.MEMORY if hop.cell.is_memory else Role.WIRE


def _src(graph: Graph, hop: Hop) -> str:
    if hop.cell is not None and hop.cell.src:
        return hop.cell.src
    return _named_src(graph, hop.net)


def _named_src(graph: Graph, net: int) -> str:
    return graph.signals[graph.names[net][0]].src if net in graph.names else ""


def _decision(graph: Graph, hop: Hop, condition: Hop) -> Station:
    """A decision: named after its condition, and placed where that is written, if it is logic."""
    logic = condition.cell is not None and not condition.cell.is_register
    return Station(
        signal=graph.called(condition.net) if condition.net in graph.names else "condition",
        role=Role.DECISION,
        cycle=hop.cycle,
        location=location(_src(graph, condition if logic else hop)),
    )
