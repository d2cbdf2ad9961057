"""The lookup against a Python list, and its latency."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


def latency(index: int, line: int | None) -> int:
    """Cycles from start to done: one for each of the 32 words, and one more."""
    return 33


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("load", "load_address", "load_data", "start", "index"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def load(dut, table: list[int]) -> None:
    """Write the whole table."""
    for address, data in enumerate(table):
        dut.load.value, dut.load_address.value, dut.load_data.value = 1, address, data
        await FallingEdge(dut.clk)
    dut.load.value = 0


async def check(dut, table: list[int], index: int, line: int | None) -> int:
    """Look `index` up after an access to `line`; the line that it is in."""
    dut.start.value, dut.index.value = 1, index
    await FallingEdge(dut.clk)
    dut.load_address.value, dut.load_data.value = index, ~table[index] & 0xFFFF
    cycles = 1
    while dut.done.value == 0:
        assert (dut.busy.value, dut.word.value) == (1, 0) and cycles < 100
        # Neither a start nor a load is heeded while busy.
        dut.start.value, dut.index.value = random.getrandbits(1), random.getrandbits(5)
        dut.load.value = 1
        await FallingEdge(dut.clk)
        cycles += 1
    dut.load.value = dut.start.value = 0
    assert int(dut.word.value) == table[index], f"word {index}"
    assert cycles == latency(index, line), f"word {index} after line {line}: {cycles} cycles"
    await FallingEdge(dut.clk)
    assert (dut.busy.value, dut.done.value, dut.word.value) == (0, 0, 0)
    return index // 8


@cocotb.test()
@cocotb.parametrize(step=[1, 7, 9, 31])
async def all_words(dut, step):
    """Every word in several orders, of a table that is written again and again."""
    await reset(dut)
    table = [random.getrandbits(16) for _ in range(32)]
    for _ in range(3):
        table, line = [~data & 0xFFFF for data in table], None
        await load(dut, table)
        for place in range(0, 32 * step, step):
            line = await check(dut, table, place % 32, line)


@cocotb.test()
async def random_words(dut):
    """Words in random order."""
    await reset(dut)
    table, line = [random.getrandbits(16) for _ in range(32)], None
    await load(dut, table)
    for _ in range(150):
        line = await check(dut, table, random.randrange(32), line)
