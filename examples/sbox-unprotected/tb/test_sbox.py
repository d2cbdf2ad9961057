"""The S-box with key addition against its definition, and its latency."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from sbox_model import SBOX

LATENCY = 2

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "key", "pt"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, operations: list[tuple[int, int] | None]) -> None:
    """An operation or none in every cycle; each result must be there in time."""
    for place in range(len(operations) + LATENCY):
        operation = operations[place] if place < len(operations) else None
        dut.start.value = operation is not None
        key, pt = operation or (random.getrandbits(8), random.getrandbits(8))
        dut.key.value, dut.pt.value = key, pt
        await FallingEdge(dut.clk)
        before = place - LATENCY + 1
        ended = operations[before] if 0 <= before < len(operations) else None
        assert dut.done.value == (ended is not None)
        if ended is not None:
            found, expected = int(dut.y.value), SBOX[ended[0] ^ ended[1]]
            assert found == expected, f"key, pt = {ended}: {found:02x}, expected {expected:02x}"


@cocotb.test()
async def published_values(dut):
    """Values of FIPS 197, section 5.1.1, which the model must meet too."""
    await reset(dut)
    assert (SBOX[0x00], SBOX[0x53], SBOX[0xFF]) == (0x63, 0xED, 0x16)
    await check(dut, [(0x00, 0x00), (0x53, 0x00), (0x0F, 0xF0)])


@cocotb.test()
async def all_values(dut):
    """Every input of the S-box, with keys at random and gaps between operations."""
    await reset(dut)
    operations: list[tuple[int, int] | None] = []
    for value in range(256):
        key = random.getrandbits(8)
        operations += [None] * random.randrange(3) + [(key, key ^ value)]
    await check(dut, operations)
