"""The masked S-box against its definition, and its latency."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from sbox_model import SBOX

LATENCY = 9

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "x0", "x1", "r"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, operations: list[int | None]) -> None:
    """A byte or none in every cycle, with shares at random; each result must be there in time."""
    for place in range(len(operations) + LATENCY):
        x = operations[place] if place < len(operations) else None
        mask = random.getrandbits(8)
        dut.start.value = x is not None
        dut.x0.value, dut.x1.value = mask, mask ^ (x or 0)
        dut.r.value = random.getrandbits(18)
        await FallingEdge(dut.clk)
        before = place - LATENCY + 1
        ended = operations[before] if 0 <= before < len(operations) else None
        assert dut.done.value == (ended is not None)
        if ended is not None:
            found = int(dut.y0.value) ^ int(dut.y1.value)
            assert found == SBOX[ended], f"x = {ended:02x}: {found:02x}"


@cocotb.test()
async def published_values(dut):
    """Values of FIPS 197, section 5.1.1, which the model must meet too."""
    await reset(dut)
    assert (SBOX[0x00], SBOX[0x53], SBOX[0xFF]) == (0x63, 0xED, 0x16)
    await check(dut, [0x00, 0x53, 0xFF])


@cocotb.test()
async def all_values(dut):
    """Every byte four times, one a cycle."""
    await reset(dut)
    await check(dut, [*range(256)] * 4)


@cocotb.test()
async def gaps(dut):
    """Bytes at random, with gaps between them: `done` comes for those that started."""
    await reset(dut)
    values = [random.getrandbits(8) for _ in range(200)]
    await check(dut, [x if random.getrandbits(1) else None for x in values])
