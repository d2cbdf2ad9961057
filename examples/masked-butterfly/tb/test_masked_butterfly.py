"""The masked butterfly against the formulas of FIPS 203, and its latency."""

import itertools
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

LATENCY = 4
Q = 3329
CORNERS = (0, 1, 2, Q // 2, Q // 2 + 1, Q - 2, Q - 1)

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "a0", "a1", "b0", "b1", "zeta"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


def share(value: int) -> tuple[int, int]:
    """Two shares, whose sum is a value modulo q."""
    mask = random.randrange(Q)
    return mask, (value - mask) % Q


async def check(dut, operations: list[tuple[int, int, int] | None]) -> None:
    """An operation or none in every cycle, with shares at random; each result must be there."""
    for place in range(len(operations) + LATENCY):
        operation = operations[place] if place < len(operations) else None
        dut.start.value = operation is not None
        a, b, dut.zeta.value = operation or (0, 0, 0)
        dut.a0.value, dut.a1.value = share(a)
        dut.b0.value, dut.b1.value = share(b)
        await FallingEdge(dut.clk)
        before = place - LATENCY + 1
        ended = operations[before] if 0 <= before < len(operations) else None
        assert dut.done.value == (ended is not None)
        if ended is None:
            continue
        shares = [int(port.value) for port in (dut.x0, dut.x1, dut.y0, dut.y1)]
        assert all(value < Q for value in shares)
        a, b, zeta = ended
        found = (shares[0] + shares[1]) % Q, (shares[2] + shares[3]) % Q
        expected = (a + zeta * b) % Q, (a - zeta * b) % Q
        assert found == expected, f"a, b, zeta = {ended}: {found}, expected {expected}"


@cocotb.test()
async def corner_values(dut):
    """All corners of all operands."""
    await reset(dut)
    await check(dut, [*itertools.product(CORNERS, repeat=3)])


@cocotb.test()
async def twiddle_factors(dut):
    """The 127 factors zeta^BitRev7(i) of FIPS 203, section 4.3, each with the largest operand."""
    await reset(dut)
    factors = [pow(17, int(f"{index:07b}"[::-1], 2), Q) for index in range(1, 128)]
    await check(dut, [(random.randrange(Q), Q - 1, zeta) for zeta in factors])


@cocotb.test()
async def random_values(dut):
    """Uniform operands, with gaps between them."""
    await reset(dut)
    operations: list[tuple[int, int, int] | None] = []
    for _ in range(400):
        operations += [None] * random.getrandbits(1)
        operations.append((random.randrange(Q), random.randrange(Q), random.randrange(Q)))
    await check(dut, operations)
