"""The comparator against Python's ``==``, and its latency."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


def latency(expected: int, received: int) -> int:
    """Cycles from start to done: one for each byte and one more, whatever the tags are."""
    return 17


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "expected", "received"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, expected: int, received: int) -> None:
    """Compare two tags; the verdict and the cycles must be right."""
    dut.start.value, dut.expected.value, dut.received.value = 1, expected, received
    await FallingEdge(dut.clk)
    dut.expected.value = dut.received.value = random.getrandbits(128)  # only the start counts
    cycles = 1
    while dut.done.value == 0:
        assert (dut.busy.value, dut.equal.value) == (1, 0) and cycles < 100
        dut.start.value = random.getrandbits(1)  # a start while busy is not heeded
        await FallingEdge(dut.clk)
        cycles += 1
    assert bool(dut.equal.value) == (expected == received), f"{expected:032x} {received:032x}"
    assert cycles == latency(expected, received), f"{cycles} cycles"
    dut.start.value = 0
    await FallingEdge(dut.clk)
    assert (dut.busy.value, dut.done.value, dut.equal.value) == (0, 0, 0)


@cocotb.test()
async def equal_tags(dut):
    """Equal tags are equal, the corners included."""
    await reset(dut)
    for tag in (0, (1 << 128) - 1, *(random.getrandbits(128) for _ in range(30))):
        await check(dut, tag, tag)


@cocotb.test()
async def one_bit(dut):
    """Each single bit makes a difference."""
    await reset(dut)
    for place in range(128):
        tag = random.getrandbits(128)
        await check(dut, tag, tag ^ 1 << place)


@cocotb.test()
async def random_tags(dut):
    """Tags that share their first bytes, and the rest by chance."""
    await reset(dut)
    for shared in range(16):
        for _ in range(5):
            low = random.getrandbits(8 * (16 - shared))
            tag = random.getrandbits(128)
            await check(dut, tag, tag ^ low)
