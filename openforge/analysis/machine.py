"""A graph of cells as a machine of bits: an and-inverter graph with registers and whole memories.

Only what the wanted nets depend on is there. Memories are never made of bits: what a read port
returns is a variable, and its address is a word of literals, so a simulator can do the read and a
proof can leave it open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from openforge.analysis import operators
from openforge.analysis.aig import FALSE, Aig, Word
from openforge.analysis.cells import Bit, Cell, Graph


class UnsupportedError(ValueError):
    """A construct of which no machine can be made; `src` is where it was written."""

    def __init__(self, message: str, src: str = "") -> None:
        super().__init__(message)
        self.src = src


class Origin(StrEnum):
    """What a free variable is."""

    INPUT = "input"
    UNDRIVEN = "undriven"  # a net without a driver, an output of a black box
    UNKNOWN = "x"  # an x in the source, a division by zero, a bit outside of a vector


@dataclass(frozen=True)
class Variable:
    """A variable that is free in every cycle. `net` is 0 for an x."""

    literal: int
    origin: Origin
    net: int
    src: str = ""


@dataclass
class Latch:
    """One bit of a register. `initial` is 0, 1 or None (unknown); `next` is a literal."""

    literal: int
    net: int
    cell: Cell
    initial: int | None
    next: int = FALSE


@dataclass(frozen=True)
class ReadPort:
    """A read port: `data` are variables, whose literals come after those of `address`."""

    address: tuple[int, ...]
    data: tuple[int, ...]


@dataclass(frozen=True)
class WritePort:
    """A write port; it writes bit i of a word at the end of a cycle in which `enable[i]` holds."""

    address: tuple[int, ...]
    data: tuple[int, ...]
    enable: tuple[int, ...]


@dataclass
class Memory:
    """A memory with addresses `offset` to ``offset + size - 1`` and words of `width` bits.

    `initial` holds a text of 0, 1 and x a word, least significant bit first. Reads of one cycle
    come before its writes; of writes to one word, the last port's counts.
    """

    name: str
    cell: Cell
    width: int
    size: int
    offset: int
    initial: tuple[str, ...]
    reads: list[ReadPort] = field(default_factory=list)
    writes: list[WritePort] = field(default_factory=list)


@dataclass
class Machine:
    """Registers, memories and free variables around one and-inverter graph."""

    aig: Aig
    literals: dict[int, int]
    variables: list[Variable]
    latches: list[Latch]
    memories: dict[str, Memory]

    def literal(self, bit: Bit) -> int:
        """The literal of a net that was wanted, or of a constant. Raises KeyError."""
        if isinstance(bit, str):
            return {"0": 0, "1": 1}[bit]
        return self.literals[bit]


def machine(graph: Graph, wanted: Iterable[Bit]) -> Machine:
    """The machine that computes the nets `wanted`.

    Raises UnsupportedError for combinational loops, latches, tri-states, asynchronous loads of data
    and cells that are not known.
    """
    return _Builder(graph).build(wanted)


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._aig = Aig()
        self._machine = Machine(self._aig, {}, [], [], {})
        self._literals = self._machine.literals
        self._pending: list[tuple[Latch, int]] = []  # with its bit position in the register
        self._ports: list[tuple[Memory, int]] = []

    def build(self, wanted: Iterable[Bit]) -> Machine:
        """Resolve what is wanted, then what the registers and memories in it need, until all is."""
        self._resolve(wanted)
        while self._pending or self._ports:
            if self._pending:
                self._finish(*self._pending.pop())
            else:
                self._write_port(*self._ports.pop())
        self._machine.latches.sort(key=lambda latch: latch.literal)
        for memory in self._machine.memories.values():
            memory.writes.reverse()
        return self._machine

    def _resolve(self, wanted: Iterable[Bit]) -> None:
        """Give each of `wanted` its literal, and before it what it depends on within a cycle."""
        stack = [bit for bit in wanted if isinstance(bit, int)]
        entered: set[tuple[str, int | None]] = set()
        while stack:
            bit = stack[-1]
            if bit in self._literals:
                stack.pop()
                continue
            driver = self._graph.drivers.get(bit)
            if driver is None:
                self._free(bit)
                continue
            cell, position = driver.cell, driver.position
            unit = (cell.name, self._part(cell, position))
            needs = [b for b in self._needs(cell, driver.port, position) if self._missing(b)]
            if not needs:
                self._compute(cell, driver.port, position)
            elif unit in entered:
                raise self._loop(bit, cell)
            else:
                entered.add(unit)
                stack.extend(b for b in needs if isinstance(b, int))

    @staticmethod
    def _part(cell: Cell, position: int) -> int | None:
        """Which part of a cell computes an output bit: its bit, its read port or all of it."""
        if cell.is_memory:
            return position // cell.number("WIDTH")
        return position if operators.is_bitwise(cell) else None

    def _missing(self, bit: Bit) -> bool:
        return isinstance(bit, int) and bit not in self._literals

    def _loop(self, bit: int, cell: Cell) -> UnsupportedError:
        return UnsupportedError(
            f"a combinational loop through {self._graph.called(bit)}: its value depends on itself "
            "within a cycle",
            cell.src,
        )

    def _needs(self, cell: Cell, port: str, position: int) -> Iterable[Bit]:
        """The bits that an output of a cell depends on within the cycle."""
        if operators.is_bitwise(cell):
            return [cell.inputs[p][n] for p, n in operators.bit_inputs(cell, position)]
        if cell.is_register:
            return cell.inputs.get("ARST", cell.inputs.get("ALOAD", ()))
        if cell.is_memory:
            return self._read_address(cell, position // cell.number("WIDTH"))
        if cell.is_black_box:
            return ()
        return [bit for bits in cell.inputs.values() for bit in bits]

    @staticmethod
    def _read_address(cell: Cell, port: int) -> tuple[Bit, ...]:
        width = cell.number("ABITS")
        return cell.inputs["RD_ADDR"][port * width : (port + 1) * width]

    def _compute(self, cell: Cell, port: str, position: int) -> None:
        if operators.is_bitwise(cell):
            given = {
                p: self._of(cell.inputs[p][n], cell)
                for p, n in operators.bit_inputs(cell, position)
            }
            self._assign(cell.outputs[port][position], operators.bit_of(self._aig, cell, given))
        elif cell.is_register:
            self._register(cell)
        elif cell.is_memory:
            self._read_port(cell, position // cell.number("WIDTH"))
        elif cell.is_black_box:
            for bit in cell.outputs[port]:
                self._free(bit, cell.src)
        else:
            self._operator(cell)

    def _operator(self, cell: Cell) -> None:
        if cell.type in ("$eqx", "$nex") and _never_equal(cell):
            # a constant x is the same as no value of two states (IEEE 1800-2017, 11.4.5)
            for n, bit in enumerate(cell.outputs["Y"]):
                self._assign(bit, int(cell.type == "$nex" and n == 0))
            return
        ports = {p: [self._of(b, cell) for b in bits] for p, bits in cell.inputs.items()}

        def free(width: int) -> Word:
            return [self._unknown(cell) for _ in range(width)]

        word = operators.word_of(self._aig, cell, ports, free)
        if word is None:
            raise UnsupportedError(f"a {cell.type} cell is not supported", cell.src)
        for bit, literal in zip(cell.outputs["Y"], word, strict=True):
            self._assign(bit, literal)

    def _assign(self, bit: Bit, literal: int) -> None:
        if isinstance(bit, int):
            self._literals[bit] = literal

    def _of(self, bit: Bit, cell: Cell) -> int:
        if isinstance(bit, int):
            return self._literals[bit]
        return int(bit) if bit in "01" else self._unknown(cell)

    def _unknown(self, cell: Cell) -> int:
        literal = self._aig.variable()
        self._machine.variables.append(Variable(literal, Origin.UNKNOWN, 0, cell.src))
        return literal

    def _free(self, bit: Bit, src: str = "") -> None:
        if not isinstance(bit, int) or bit in self._literals:
            return
        origin = Origin.INPUT if bit in self._graph.input_bits else Origin.UNDRIVEN
        self._literals[bit] = self._aig.variable()
        self._machine.variables.append(Variable(self._literals[bit], origin, bit, src))

    def _register(self, cell: Cell) -> None:
        """The state bits of a register, and its outputs: an asynchronous reset acts at once.

        It is sampled once a cycle, as is everything else (the meaning of ``async2sync`` in Yosys).
        """
        if cell.type in ("$dffsr", "$dffsre"):
            raise UnsupportedError(
                "a register with an asynchronous set and an asynchronous reset", cell.src
            )
        active, values = self._asynchronous(cell)
        for n, bit in enumerate(cell.outputs["Q"]):
            if not isinstance(bit, int):
                continue
            start = self._graph.initial.get(bit)
            initial = int(start) if start else None
            latch = Latch(self._aig.variable(), bit, cell, initial)
            self._machine.latches.append(latch)
            self._pending.append((latch, n))
            self._literals[bit] = self._aig.choose(active, values[n], latch.literal)

    def _asynchronous(self, cell: Cell) -> tuple[int, Word]:
        """Whether an asynchronous reset is active, and the values that it gives."""
        width = len(cell.outputs["Q"])
        if "ARST" in cell.inputs:
            return self._control(cell, "ARST"), _constant(cell, "ARST_VALUE", width)
        if "ALOAD" in cell.inputs:
            values = cell.inputs["AD"]
            if any(bit not in ("0", "1") for bit in values):
                raise UnsupportedError(
                    "an asynchronous load of data into a register; only constants can be loaded",
                    cell.src,
                )
            return self._control(cell, "ALOAD"), [int(bit) for bit in values]
        return FALSE, [FALSE] * width

    def _control(self, cell: Cell, port: str) -> int:
        """The literal that holds when the control input `port` of a register is active."""
        literal = self._of(cell.inputs[port][0], cell)
        return literal if cell.number(f"{port}_POLARITY") else literal ^ 1

    def _finish(self, latch: Latch, position: int) -> None:
        """Resolve what a state bit becomes."""
        cell = latch.cell
        controls = [p for p in ("EN", "SRST", "ARST", "ALOAD") if p in cell.inputs]
        data = cell.inputs["D"][position]
        self._resolve([data, *(cell.inputs[p][0] for p in controls)])
        new, old = self._of(data, cell), latch.literal
        enable = self._control(cell, "EN") if "EN" in cell.inputs else 1
        if cell.type != "$sdffce":
            new = self._aig.choose(enable, new, old)
        if "SRST" in cell.inputs:
            value = _constant(cell, "SRST_VALUE", len(cell.outputs["Q"]))[position]
            new = self._aig.choose(self._control(cell, "SRST"), value, new)
        if cell.type == "$sdffce":
            new = self._aig.choose(enable, new, old)
        active, values = self._asynchronous(cell)
        latch.next = self._aig.choose(active, values[position], new)

    def _memory(self, cell: Cell) -> Memory:
        known = self._machine.memories.get(cell.memory_name)
        if known:
            return known
        if "1" in cell.params["RD_CLK_ENABLE"]:
            raise UnsupportedError("a memory with clocked read ports", cell.src)
        width, size = cell.number("WIDTH"), cell.number("SIZE")
        text = cell.params["INIT"][::-1].ljust(width * size, "x")
        memory = Memory(
            name=cell.memory_name,
            cell=cell,
            width=width,
            size=size,
            offset=cell.addresses.start,
            initial=tuple(text[n * width : (n + 1) * width] for n in range(size)),
        )
        self._machine.memories[memory.name] = memory
        self._ports += [(memory, n) for n in range(cell.number("WR_PORTS"))]
        return memory

    def _read_port(self, cell: Cell, port: int) -> None:
        memory = self._memory(cell)
        address = tuple(self._of(bit, cell) for bit in self._read_address(cell, port))
        data = tuple(self._aig.variable() for _ in range(memory.width))
        memory.reads.append(ReadPort(address, data))
        width = memory.width
        for bit, literal in zip(
            cell.outputs["RD_DATA"][port * width : (port + 1) * width], data, strict=True
        ):
            self._assign(bit, literal)

    def _write_port(self, memory: Memory, port: int) -> None:
        cell, abits, width = memory.cell, memory.cell.number("ABITS"), memory.width
        address = cell.inputs["WR_ADDR"][port * abits : (port + 1) * abits]
        data = cell.inputs["WR_DATA"][port * width : (port + 1) * width]
        enable = cell.inputs["WR_EN"][port * width : (port + 1) * width]
        self._resolve([*address, *data, *enable])
        memory.writes.append(
            WritePort(*(tuple(self._of(b, cell) for b in bits) for bits in (address, data, enable)))
        )


def _never_equal(cell: Cell) -> bool:
    """Whether a constant x or z is compared with a bit that can only be 0 or 1."""
    pairs = zip(cell.inputs["A"], cell.inputs["B"], strict=False)
    return any((a in ("x", "z")) != (b in ("x", "z")) for a, b in pairs)


def _constant(cell: Cell, param: str, width: int) -> Word:
    """A parameter as a word of constants."""
    text = cell.params[param][::-1].ljust(width, "0")[:width]
    if set(text) - {"0", "1"}:
        raise UnsupportedError("a reset to x", cell.src)
    return [int(bit) for bit in text]


def initial_words(memory: Memory) -> Mapping[int, str]:
    """The words that have a value before the first cycle, by address."""
    return {
        memory.offset + n: text for n, text in enumerate(memory.initial) if set(text) & {"0", "1"}
    }
