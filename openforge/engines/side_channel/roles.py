"""What each input and register of the netlist is for the simulation: from the interface to nets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from openforge.analysis.gates import Gates
from openforge.analysis.source import named
from openforge.errors import CheckFailedToRun
from openforge.interface import Bits, Interface, Kind

_FIELD = "verification.crypto_verification.interface"


@dataclass(frozen=True)
class Carrier:
    """Bits that are set from outside: their nets, least significant first, and how.

    `stored` are registers, which are set before the trace begins; others are inputs.
    """

    text: str
    nets: tuple[int, ...]
    stored: bool


@dataclass(frozen=True)
class Sharing:
    """A secret carried by shares: of one width, xor or, with a `modulus`, their sum."""

    name: str
    of: tuple[Carrier, ...]
    modulus: int | None


@dataclass(frozen=True)
class Roles:
    """The nets of `Gates` by role.

    `secrets` are carried as they are, `sharings` by shares. `controls` are public inputs of one
    bit, `data` the other public ones. `start` and `reset` are inputs; `reset` is the net with its
    active value, and `constants` are held.
    """

    secrets: tuple[Carrier, ...]
    sharings: tuple[Sharing, ...]
    randoms: tuple[Carrier, ...]
    controls: tuple[Carrier, ...]
    data: tuple[Carrier, ...]
    constants: Mapping[int, bool]
    reset: tuple[int, bool] | None
    reset_cycles: int
    start: int | None
    done: int | None

    @property
    def carriers(self) -> list[Carrier]:
        """All that carries secrets, in shares or not."""
        return [*self.secrets, *(carrier for sharing in self.sharings for carrier in sharing.of)]


def roles(interface: Interface, gates: Gates) -> Roles:
    """The roles of `interface` in a netlist of gates.

    Raises CheckFailedToRun for secrets that cannot be set: memories, and nets that are driven.
    """
    found = _Found(interface, gates)
    shared = {bits.text for share in interface.shares for bits in share.of}
    secrets = (bits for bits in interface.secrets if bits.text not in shared)
    start = found.net(interface.start) if interface.start else None
    taken = {start} if start is not None else set()
    constants = dict(found.constants())
    reset = interface.reset
    if reset:
        taken.add(found.nets(reset.signal)[0])
    public = [
        carrier
        for bits in interface.public
        for carrier in [found.carrier(bits, "public")]
        if not (set(carrier.nets) & (taken | constants.keys())) and not carrier.stored
    ]
    return Roles(
        secrets=tuple(found.carrier(bits, "secrets") for bits in secrets),
        sharings=tuple(
            Sharing(
                share.name,
                tuple(found.carrier(bits, "shares") for bits in share.of),
                share.modulus,
            )
            for share in interface.shares
        ),
        randoms=tuple(found.carrier(bits, "randoms") for bits in interface.randoms),
        controls=tuple(carrier for carrier in public if len(carrier.nets) == 1),
        data=tuple(carrier for carrier in public if len(carrier.nets) > 1),
        constants=constants,
        reset=(found.nets(reset.signal)[0], not reset.active_low) if reset else None,
        reset_cycles=reset.cycles if reset else 0,
        start=start,
        done=found.net(interface.done) if interface.done else None,
    )


class _Found:
    def __init__(self, interface: Interface, gates: Gates) -> None:
        self._interface, self._gates = interface, gates
        self._stored = {reg.seen if reg.hidden else reg.q: reg.q for reg in gates.registers}

    def nets(self, name: str) -> tuple[int, ...]:
        """The nets of a signal, 0 for bits that are constant."""
        bits = self._gates.graph.signals[name].bits
        return tuple(self._gates.literal(bit) >> 1 for bit in bits)

    def net(self, bits: Bits) -> int:
        """The net of one bit."""
        return self.nets(bits.name)[bits.positions[0]]

    def constants(self) -> Iterator[tuple[int, bool]]:
        """The inputs that the interface holds at a value."""
        for name, value in self._interface.constants.items():
            for position, net in enumerate(self.nets(name)):
                yield net, bool(value >> position & 1)

    def carrier(self, bits: Bits, field: str) -> Carrier:
        """The nets of `bits`. Raises CheckFailedToRun when they cannot be set from outside."""
        if bits.kind is Kind.MEMORY:
            raise CheckFailedToRun(
                f"{_FIELD}.{field}: '{named(bits.text)}' is a memory, whose words cannot be set in "
                "a simulation of power; name the inputs or registers through which it is written"
            )
        if bits.name not in self._gates.graph.signals:
            raise CheckFailedToRun(
                f"{_FIELD}.{field}: '{named(bits.text)}' is not in the netlist: nothing reads it"
            )
        nets = [self.nets(bits.name)[position] for position in bits.positions]
        if bits.kind is Kind.INPUT:
            return Carrier(bits.text, tuple(nets), stored=False)
        odd = [net for net in nets if net not in self._stored and net]
        if odd and field != "public":
            raise CheckFailedToRun(
                f"{_FIELD}.{field}: '{named(bits.text)}' is constant or driven by other nets, so "
                "that it cannot be set; name inputs or registers"
            )
        stored = tuple(self._stored.get(net, 0) for net in nets)
        return Carrier(bits.text, stored, stored=True)


def registers_of(gates: Gates, nets: Iterable[int]) -> set[int]:
    """The registers, as nets outside their cells, that depend on `nets` in whatever cycle."""
    found = gates.reached(nets)
    return {reg.seen if reg.hidden else reg.q for reg in gates.registers if reg.q in found}


def drives_nothing(gates: Gates, carriers: Iterable[Carrier]) -> list[str]:
    """Those of `carriers` of which no bit is read by any gate or register."""
    read = {literal >> 1 for g in gates.gates for literal in (g.x, g.y, g.z)}
    read |= {register.d >> 1 for register in gates.registers}
    return [carrier.text for carrier in carriers if read.isdisjoint({*carrier.nets} - {0})]
