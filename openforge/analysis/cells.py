"""A flat netlist as a graph of word-level cells, read from Yosys' JSON.

*Source:* the Yosys manual, ``write_json`` and "Internal cell library". Bit 0 of every vector is its
least significant (rightmost) bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

Bit = int | str
"""A bit of a signal: the number of its net, or one of the constants "0", "1", "x" and "z"."""

MEMORY = "$mem_v2"
_SILENT = {"$scopeinfo", "$print", "$check", "$assert", "$assume", "$cover", "$live", "$fair"}
_REGISTERS = {
    "$dff",
    "$dffe",
    "$sdff",
    "$sdffe",
    "$sdffce",
    "$adff",
    "$adffe",
    "$aldff",
    "$aldffe",
    "$dffsr",
    "$dffsre",
}


@dataclass(frozen=True)
class Cell:
    """A cell. `params` are texts as in the JSON; `inputs` and `outputs` map ports to bits."""

    name: str
    type: str
    params: Mapping[str, str]
    inputs: Mapping[str, tuple[Bit, ...]]
    outputs: Mapping[str, tuple[Bit, ...]]
    src: str = ""

    def number(self, param: str) -> int:
        """A parameter as an unsigned number; 0 when the cell has none of that name."""
        text = self.params.get(param, "0").replace("x", "0")
        return int(text, 2) if text else 0

    @property
    def addresses(self) -> range:
        """The addresses of a memory, which may be negative."""
        offset = self.number("OFFSET")
        if offset >= 1 << 31:  # it is a signed number of 32 bits
            offset -= 1 << 32
        return range(offset, offset + self.number("SIZE"))

    @property
    def is_register(self) -> bool:
        """Whether it is a register (a flip-flop of any kind)."""
        return self.type in _REGISTERS

    @property
    def is_memory(self) -> bool:
        """Whether it is a memory with all of its ports."""
        return self.type == MEMORY

    @property
    def is_black_box(self) -> bool:
        """Whether it is an instance of a module that has no content."""
        return not self.type.startswith("$")

    @property
    def memory_name(self) -> str:
        """The hierarchical name of a memory."""
        return self.params["MEMID"].removeprefix("\\")


@dataclass(frozen=True)
class Vector:
    """A named signal. `indices` are the numbers of its bits as declared, bit 0 first.

    `direction` is ``input``, ``output``, ``inout`` or, for what is no port, empty.
    """

    name: str
    bits: tuple[Bit, ...]
    offset: int = 0
    upto: bool = False
    direction: str = ""
    src: str = ""

    def position(self, index: int) -> int | None:
        """Where the bit declared with number `index` is in `bits`; None if there is no such bit."""
        place = index - self.offset
        if not 0 <= place < len(self.bits):
            return None
        return len(self.bits) - 1 - place if self.upto else place

    def index(self, position: int) -> int:
        """The number with which the bit at `position` of `bits` was declared."""
        return self.offset + (len(self.bits) - 1 - position if self.upto else position)


@dataclass(frozen=True)
class Driver:
    """What drives a net: bit `position` of the output `port` of `cell`."""

    cell: Cell
    port: str
    position: int


@dataclass(frozen=True)
class Graph:
    """The netlist of one flat module.

    `signals` are named signals, ports among them, hierarchical below the top; `cells` are without
    those that only report (assertions, prints). `initial` holds the bits that have a value, "0" or
    "1", before the first clock edge.
    """

    top: str
    signals: Mapping[str, Vector]
    cells: tuple[Cell, ...] = field(repr=False)
    initial: Mapping[int, str] = field(default_factory=dict, repr=False)

    @cached_property
    def inputs(self) -> tuple[Vector, ...]:
        """The input ports, in the order of the netlist."""
        return tuple(v for v in self.signals.values() if v.direction == "input")

    @cached_property
    def outputs(self) -> tuple[Vector, ...]:
        """The output ports, in the order of the netlist."""
        return tuple(v for v in self.signals.values() if v.direction == "output")

    @cached_property
    def registers(self) -> tuple[Cell, ...]:
        """The registers."""
        return tuple(cell for cell in self.cells if cell.is_register)

    @cached_property
    def memories(self) -> Mapping[str, Cell]:
        """The memories by hierarchical name."""
        return {cell.memory_name: cell for cell in self.cells if cell.is_memory}

    @cached_property
    def drivers(self) -> Mapping[int, Driver]:
        """The driver of each net that a cell drives."""
        return {
            bit: Driver(cell, port, position)
            for cell in self.cells
            for port, bits in cell.outputs.items()
            for position, bit in enumerate(bits)
            if isinstance(bit, int)
        }

    @cached_property
    def input_bits(self) -> frozenset[int]:
        """The nets that input ports drive."""
        return frozenset(b for port in self.inputs for b in port.bits if isinstance(b, int))

    @cached_property
    def highest(self) -> int:
        """The highest number of a net."""
        ports = (bits for c in self.cells for bits in (*c.inputs.values(), *c.outputs.values()))
        signals = (vector.bits for vector in self.signals.values())
        return max((bit for bits in (*ports, *signals) for bit in nets(bits)), default=1)

    @cached_property
    def undriven(self) -> frozenset[int]:
        """The nets that nothing drives, inout ports among them."""
        used = {
            bit
            for cell in self.cells
            for bits in cell.inputs.values()
            for bit in bits
            if isinstance(bit, int)
        }
        used |= {b for v in self.signals.values() for b in v.bits if isinstance(b, int)}
        return frozenset(used - self.drivers.keys() - self.input_bits)

    @cached_property
    def names(self) -> Mapping[int, tuple[str, int]]:
        """The best name of each net: signal and position in it; registers' own names first."""
        found: dict[int, tuple[str, int]] = {}
        ordered = sorted(
            self.signals.values(), key=lambda v: (v.direction == "", v.name.count("."), v.name)
        )
        for vector in ordered:
            for position, bit in enumerate(vector.bits):
                if isinstance(bit, int):
                    found.setdefault(bit, (vector.name, position))
        return found

    def extended(self, cells: Iterable[Cell], inputs: Mapping[str, int]) -> Graph:
        """The graph with more `cells`, and with more `inputs` of one bit, by name."""
        ports = {name: Vector(name, (net,), direction="input") for name, net in inputs.items()}
        return replace(self, signals={**self.signals, **ports}, cells=(*self.cells, *cells))

    def called(self, bit: Bit) -> str:
        """A name for `bit` that a reader of the source knows: ``u_core.state[2]``."""
        if isinstance(bit, str):
            return f"constant {bit}"
        if bit not in self.names:
            return f"net {bit}"
        name, position = self.names[bit]
        vector = self.signals[name]
        return name if len(vector.bits) == 1 else f"{name}[{vector.index(position)}]"


def graph(tree: Mapping[str, Any], top: str) -> Graph:
    """The graph of module `top` in what ``write_json`` wrote, flattened before."""
    module = tree["modules"][top]
    ports = {name: port["direction"] for name, port in module["ports"].items()}
    signals = {
        name: Vector(
            name=name,
            bits=tuple(net["bits"]),
            offset=net.get("offset", 0),
            upto=bool(net.get("upto", 0)),
            direction=ports.get(name, ""),
            src=net["attributes"].get("src", ""),
        )
        for name, net in module["netnames"].items()
        if not net["hide_name"]
    }
    initial = {
        bit: value
        for net in module["netnames"].values()
        for bit, value in zip(net["bits"], net["attributes"].get("init", "")[::-1], strict=False)
        if value in ("0", "1") and isinstance(bit, int)
    }
    return Graph(top, signals, tuple(_cells(module["cells"])), initial)


def cone(graph: Graph, wanted: Iterable[Bit]) -> Graph:
    """`graph` with only those cells on which the nets `wanted` depend, in whatever cycle."""
    stack = list(nets(wanted))
    seen, kept = set(stack), dict[str, Cell]()
    while stack:
        driver = graph.drivers.get(stack.pop())
        if driver is None or driver.cell.name in kept:
            continue
        kept[driver.cell.name] = driver.cell
        for bits in driver.cell.inputs.values():
            fresh = set(nets(bits)) - seen
            seen |= fresh
            stack += fresh
    signals = {
        name: vector
        for name, vector in graph.signals.items()
        if vector.direction or not seen.isdisjoint(vector.bits)
    }
    return replace(graph, signals=signals, cells=tuple(kept.values()))


def _cells(cells: Mapping[str, Any]) -> Iterator[Cell]:
    for name, cell in cells.items():
        if cell["type"] in _SILENT:
            continue
        ways, bits = cell.get("port_directions", {}), cell["connections"]
        yield Cell(
            name=name,
            type=cell["type"],
            params=cell["parameters"],
            # an instance of an unknown module has no directions: each port may be driven by it
            inputs={port: tuple(b) for port, b in bits.items() if ways.get(port) == "input"},
            outputs={port: tuple(b) for port, b in bits.items() if ways.get(port) != "input"},
            src=cell["attributes"].get("src", ""),
        )


def nets(bits: Iterable[Bit]) -> Iterator[int]:
    """Those of `bits` that are nets, not constants."""
    return (bit for bit in bits if isinstance(bit, int))
