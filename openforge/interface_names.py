"""Names of an interface -> bits of the design, by the numbers with which they were declared."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby

from openforge.analysis.cells import Bit, Cell, Graph, Vector
from openforge.analysis.source import location, named
from openforge.design import Design
from openforge.model import Location, Record

Atom = Bit | tuple[str, int]
"""What two annotations can have in common: a net, or a word of a memory by name and address."""

_RANGE = re.compile(r"(?P<name>.+)\[(?P<left>\d{1,9})(?::(?P<right>\d{1,9}))?\]", re.DOTALL)
_MOST_NAMES = 5000  # that a misspelt one is compared with


class Kind(StrEnum):
    """What carries some bits."""

    INPUT = "input"
    OUTPUT = "output"
    REGISTER = "register"
    MEMORY = "memory"
    NET = "net"


class Bits(Record):
    """Some bits of a signal of the design.

    `name` is hierarchical below the top, without a range. `positions` are, for a vector, positions
    in `cells.Vector.bits` (0 is the least significant); for a memory, addresses of words as
    declared, none for all of it. `text` is what the user writes: ``key[127:64]``, ``u.mem``.
    """

    name: str
    kind: Kind
    positions: tuple[int, ...]
    text: str
    location: Location | None = None


class NotThere(Exception):
    """The design has no such bits; the message says why, `near` are names that it has."""

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        self.near = tuple(near)
        super().__init__(message)


class Names:
    """The signals and memories of a design."""

    def __init__(self, design: Design, graph: Graph) -> None:
        self.graph = graph
        self._ports = {port.name: port.location for port in design.ports}
        self._registers = {r.name: r.location for r in design.registers}
        self._arrays = {port.name for port in design.ports if not port.one_range}
        self._arrays |= {r.name for r in design.registers if not r.one_range}
        self._stored = {b for cell in graph.registers for b in cell.outputs["Q"]}
        self._inputs = {bit: (port, n) for port in graph.inputs for n, bit in enumerate(port.bits)}

    def find(self, text: str) -> Bits:
        """The bits that `text` names: the longest known name first. Raises NotThere.

        A net that is nothing but an input port under another name is that port.
        """
        if text in self.graph.signals or text in self.graph.memories:
            return self._ranged(text, text, None)
        match = _RANGE.fullmatch(text)
        if match and (match["name"] in self.graph.signals or match["name"] in self.graph.memories):
            left = int(match["left"])
            return self._ranged(match["name"], text, (left, int(match["right"] or left)))
        raise self._unknown(text, match["name"] if match else text)

    def parts(self, vector: Vector, positions: Iterable[int]) -> Iterator[Bits]:
        """`positions` of `vector` as bits, one for each run of neighbours, the lowest first."""
        if not vector.bits:
            return
        for _, run in groupby(enumerate(sorted(positions)), key=lambda pair: pair[1] - pair[0]):
            places = tuple(position for _, position in run)
            text = vector.name
            if len(places) < len(vector.bits):
                left, right = vector.index(places[-1]), vector.index(places[0])
                text += f"[{left}]" if left == right else f"[{left}:{right}]"
            yield self._bits(vector, places, text)

    def atoms(self, bits: Bits) -> frozenset[Atom]:
        """What `bits` consist of; constants are left out."""
        if bits.kind is Kind.MEMORY:
            words = bits.positions or self.graph.memories[bits.name].addresses
            return frozenset((bits.name, word) for word in words)
        vector = self.graph.signals[bits.name].bits
        return frozenset(vector[n] for n in bits.positions if isinstance(vector[n], int))

    def width(self, bits: Bits) -> int:
        """How many bits they are, all words of a memory together."""
        if bits.kind is not Kind.MEMORY:
            return len(bits.positions)
        memory = self.graph.memories[bits.name]
        return len(bits.positions or memory.addresses) * memory.number("WIDTH")

    def inputs_in(self, bits: Bits) -> bool:
        """Whether some of the bits of what is no port are an input port's."""
        return bits.kind in (Kind.NET, Kind.REGISTER) and not self._inputs.keys().isdisjoint(
            self.atoms(bits)
        )

    def _ranged(self, name: str, text: str, wanted: tuple[int, int] | None) -> Bits:
        memory = self.graph.memories.get(name)
        if memory is not None and name not in self.graph.signals:
            words = () if wanted is None else _words(memory, *wanted)
            place = location(memory.src) or self._registers.get(name)
            return Bits(name=name, kind=Kind.MEMORY, positions=words, text=text, location=place)
        if wanted is not None and name in self._arrays:
            raise NotThere(
                f"'{named(name)}' is an array, whose elements are not told apart here; name it as "
                "a whole, or signals that carry one element"
            )
        vector = self.graph.signals[name]
        positions = range(len(vector.bits)) if wanted is None else _positions(vector, *wanted)
        return self._bits(*self._port_of(vector, tuple(positions)), text)

    def _port_of(
        self, vector: Vector, positions: tuple[int, ...]
    ) -> tuple[Vector, tuple[int, ...]]:
        found = [self._inputs.get(vector.bits[n]) for n in positions]
        places = [pair[1] for pair in found if pair]
        ports = {pair[0].name if pair else "" for pair in found}
        if vector.direction or len(ports) != 1 or len(places) < len(found):
            return vector, positions
        return self.graph.signals[ports.pop()], tuple(places)

    def _bits(self, vector: Vector, positions: tuple[int, ...], text: str) -> Bits:
        place = self._ports.get(vector.name) or self._registers.get(vector.name)
        return Bits(
            name=vector.name,
            kind=self._kind(vector),
            positions=positions,
            text=text,
            location=place or location(vector.src),
        )

    def _kind(self, vector: Vector) -> Kind:
        if vector.direction in ("input", "output"):
            return Kind(vector.direction)
        return Kind.NET if self._stored.isdisjoint(vector.bits) else Kind.REGISTER

    def _unknown(self, text: str, base: str) -> NotThere:
        for name in (text, base):
            if name in self._registers:
                return NotThere(
                    f"'{named(name)}' is in the source, but no output depends on it, so that the "
                    "netlist does not have it"
                )
        owner = _RANGE.fullmatch(base)
        if owner and (owner["name"] in self.graph.signals or owner["name"] in self.graph.memories):
            return NotThere(
                f"'{named(text)}' has two ranges, and one was expected: bits of the vector as a "
                "whole, or words of the memory"
            )
        return NotThere(f"the design has no '{named(text)}'", self.near(base))

    def near(self, name: str, only: Iterable[str] | None = None) -> list[str]:
        """Up to three names like `name`, also by their last components."""
        known = list(only) if only is not None else self._known()
        last = name.rpartition(".")[2][:100]
        tails: dict[str, list[str]] = {}
        for full in known[:_MOST_NAMES]:
            tails.setdefault(full.rpartition(".")[2], []).append(full)
        found = list(tails.get(last, ()))
        found += difflib.get_close_matches(name[:100], known[:_MOST_NAMES], n=3)
        for tail in difflib.get_close_matches(last, tails, n=3):
            found += tails[tail]
        return list(dict.fromkeys(map(named, found)))[:3]

    def _known(self) -> list[str]:
        registers = [n for n in self._registers if n in self.graph.signals]
        return list(dict.fromkeys([*self._ports, *registers, *self.graph.memories]))


def _positions(vector: Vector, left: int, right: int) -> range:
    high, low = vector.position(left), vector.position(right)
    declared = f"[{vector.index(len(vector.bits) - 1)}:{vector.index(0)}]"
    if high is None or low is None:
        raise NotThere(
            f"[{left}:{right}] is outside of '{named(vector.name)}', declared as {declared}"
        )
    if high < low:
        raise NotThere(
            f"[{left}:{right}] runs against '{named(vector.name)}', declared as {declared}; "
            f"write [{right}:{left}]"
        )
    return range(low, high + 1)


def _words(memory: Cell, left: int, right: int) -> tuple[int, ...]:
    addresses = memory.addresses
    low, high = sorted((left, right))
    if low not in addresses or high not in addresses:
        raise NotThere(
            f"[{left}:{right}] is outside of the memory '{named(memory.memory_name)}', declared as "
            f"[{addresses[0]}:{addresses[-1]}]"
        )
    return tuple(range(low, high + 1))
