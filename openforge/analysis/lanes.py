"""A machine simulated in many lanes at once: bit l of every value belongs to lane l.

Values are Python integers, so a gate is one operation on all lanes however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from openforge.analysis.machine import Machine, Memory, ReadPort, WritePort, initial_words

_MAX_MEMORY_BYTES = 256 << 20
_WORD_BITS = 64
_ADDRESS_BITS = 41  # more are not told apart from an address that is outside
Words = npt.NDArray[np.uint64]
Reading = tuple[Memory, ReadPort]


class TooLargeError(ValueError):
    """The memories of the design do not fit in memory, as often as there are lanes."""


class Lanes:
    """`machine` in `count` lanes. Registers and memories without an initial value start as 0."""

    def __init__(self, machine: Machine, count: int) -> None:
        self.machine, self.count = machine, count
        self.every = (1 << count) - 1
        size = sum(m.size * _words(m.width) * 8 * count for m in machine.memories.values())
        if size > _MAX_MEMORY_BYTES:
            raise TooLargeError(f"{size >> 20} MB of memory contents for {count} lanes")
        # by literal: the value of a node, and of its complement
        self._values = [0, self.every] * len(machine.aig.fanins)
        self._program = _program(machine)
        self.state = [self.every if latch.initial else 0 for latch in machine.latches]
        self.contents = {name: _contents(m, count) for name, m in machine.memories.items()}

    def value(self, literal: int) -> int:
        """The value of `literal` in all lanes, after `settle`."""
        return self._values[literal]

    def settle(self, inputs: Mapping[int, int]) -> None:
        """Compute all values of a cycle. `inputs` are the variables' values; else they are 0."""
        values, every = self._values, self.every
        for variable in self.machine.variables:
            given = inputs.get(variable.literal, 0)
            values[variable.literal], values[variable.literal + 1] = given, given ^ every
        for latch, bits in zip(self.machine.latches, self.state, strict=True):
            values[latch.literal], values[latch.literal + 1] = bits, bits ^ every
        for gates, reading in self._program:
            for node, left, right in gates:
                result = values[left] & values[right]
                values[node], values[node + 1] = result, result ^ every
            if reading:
                self._read(*reading)

    def clock(self) -> None:
        """The active edge: registers take what they are given, and memories are written."""
        values = self._values
        self.state = [values[latch.next] for latch in self.machine.latches]
        for memory in self.machine.memories.values():
            for port in memory.writes:
                self._write(memory, port)

    def _read(self, memory: Memory, port: ReadPort) -> None:
        """Fetch each lane's word; outside of the memory it is 0."""
        rows = self._rows(memory, port.address)
        there = rows < memory.size
        words = self.contents[memory.name][np.arange(self.count), np.where(there, rows, 0)]
        words[~there] = 0
        bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
        for literal, column in zip(port.data, bits.T, strict=False):
            value = _packed(column)
            self._values[literal], self._values[literal + 1] = value, value ^ self.every

    def _write(self, memory: Memory, port: WritePort) -> None:
        if not any(self._values[literal] for literal in port.enable):
            return
        rows = self._rows(memory, port.address)
        there = rows < memory.size
        rows = np.where(there, rows, 0)
        enable, data = (self._columns(bits, memory.width) for bits in (port.enable, port.data))
        enable[~there] = 0
        lanes = np.arange(self.count)
        contents = self.contents[memory.name]
        contents[lanes, rows] = (contents[lanes, rows] & ~enable) | (data & enable)

    def _rows(self, memory: Memory, address: Sequence[int]) -> npt.NDArray[np.int64]:
        """Which word each lane's address names, as addresses wrap; far too large stays so."""
        rows = np.zeros(self.count, dtype=np.int64)
        for position, literal in enumerate(address):
            bits = _unpacked(self._values[literal], self.count).astype(np.int64)
            rows += bits << min(position, _ADDRESS_BITS - 1)
        return (rows - memory.offset) & ((1 << min(len(address), _ADDRESS_BITS)) - 1)

    def _columns(self, literals: Sequence[int], width: int) -> Words:
        """Literals as one row of 64-bit words a lane."""
        bits = np.zeros((self.count, _words(width) * _WORD_BITS), dtype=np.uint8)
        for position, literal in enumerate(literals):
            bits[:, position] = _unpacked(self._values[literal], self.count)
        return np.packbits(bits, axis=1, bitorder="little").view(np.uint64)


def _words(width: int) -> int:
    return -(-width // _WORD_BITS)


def _unpacked(value: int, count: int) -> npt.NDArray[np.uint8]:
    raw = np.frombuffer(value.to_bytes(-(-count // 8), "little"), dtype=np.uint8)
    return np.unpackbits(raw, bitorder="little")[:count]


def _packed(bits: npt.NDArray[np.uint8]) -> int:
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def word_row(value: int, width: int) -> Words:
    """A word of a memory as the row of `Lanes.contents`."""
    size = _words(width) * 8
    return np.frombuffer(value.to_bytes(size, "little"), dtype=np.uint64)


def _contents(memory: Memory, count: int) -> Words:
    """uint64[count, size, words]: what is in the memory in each lane before the first cycle."""
    one = np.zeros((memory.size, _words(memory.width)), dtype=np.uint64)
    for address, text in initial_words(memory).items():
        value = int(text[::-1].replace("x", "0"), 2)
        one[address - memory.offset] = word_row(value, memory.width)
    return np.repeat(one[None], count, axis=0)


def _program(machine: Machine) -> list[tuple[list[tuple[int, int, int]], Reading | None]]:
    """Gates in order, cut where the address of a read port is known and its data not yet used."""
    readings: dict[int, Reading] = {
        port.data[0]: (memory, port)
        for memory in machine.memories.values()
        for port in memory.reads
    }
    program: list[tuple[list[tuple[int, int, int]], Reading | None]] = [([], None)]
    for node, pair in enumerate(machine.aig.fanins):
        if pair is not None:
            program[-1][0].append((2 * node, *pair))
        elif 2 * node in readings:
            program[-1] = (program[-1][0], readings[2 * node])
            program.append(([], None))
    return program
