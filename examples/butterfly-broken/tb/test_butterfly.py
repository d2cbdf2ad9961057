"""The butterfly against the formulas of FIPS 203, and its latency."""

import itertools
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

Q = 3329
CORNERS = (0, 1, 2, Q // 2, Q // 2 + 1, Q - 2, Q - 1)

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


def latency(b: int, zeta: int) -> int:
    """Cycles from in_valid to out_valid: four, and one for each q that the estimate missed."""
    return 4 + (b * zeta // Q - (b * zeta * 314 >> 20))


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("in_valid", "a", "b", "zeta"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, a: int, b: int, zeta: int) -> None:
    """One butterfly; the results and the cycles must be right."""
    dut.in_valid.value, dut.a.value, dut.b.value, dut.zeta.value = 1, a, b, zeta
    await FallingEdge(dut.clk)
    dut.a.value = dut.b.value = dut.zeta.value = random.getrandbits(12)  # only in_valid counts
    cycles = 1
    while dut.out_valid.value == 0:
        assert dut.in_ready.value == 0 and cycles < 100
        dut.in_valid.value = random.getrandbits(1)  # not heeded while not ready
        await FallingEdge(dut.clk)
        cycles += 1
    results = int(dut.x.value), int(dut.y.value)
    expected = (a + zeta * b) % Q, (a - zeta * b) % Q
    assert results == expected, f"a, b, zeta = {a}, {b}, {zeta}: {results}, expected {expected}"
    assert cycles == latency(b, zeta), f"b, zeta = {b}, {zeta}: {cycles} cycles"
    dut.in_valid.value = 0
    await FallingEdge(dut.clk)
    assert (dut.in_ready.value, dut.out_valid.value) == (1, 0)


@cocotb.test()
async def corner_values(dut):
    """All corners of all operands."""
    await reset(dut)
    for operands in itertools.product(CORNERS, repeat=3):
        await check(dut, *operands)


@cocotb.test()
async def twiddle_factors(dut):
    """The 127 factors zeta^BitRev7(i) of FIPS 203, section 4.3, each with the largest operand."""
    await reset(dut)
    for index in range(1, 128):
        zeta = pow(17, int(f"{index:07b}"[::-1], 2), Q)
        await check(dut, random.randrange(Q), Q - 1, zeta)


@cocotb.test()
async def random_values(dut):
    """Uniform operands."""
    await reset(dut)
    for _ in range(400):
        await check(dut, *(random.randrange(Q) for _ in range(3)))
