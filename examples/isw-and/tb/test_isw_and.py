"""The masked AND against its truth table, and its latency."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

LATENCY = 2

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "complement", "a0", "a1", "b0", "b1", "r"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


def share(value: int) -> tuple[int, int]:
    """Two shares of four bits."""
    mask = random.getrandbits(4)
    return mask, mask ^ value


async def check(dut, a: int, b: int, complement: int) -> None:
    """One operation; the result and the cycles must be right."""
    dut.start.value, dut.complement.value = 1, complement
    dut.a0.value, dut.a1.value = share(a)
    dut.b0.value, dut.b1.value = share(b)
    dut.r.value = random.getrandbits(4)
    await FallingEdge(dut.clk)
    dut.start.value, dut.complement.value = 0, random.getrandbits(1)  # only the start counts
    dut.a0.value = dut.b1.value = random.getrandbits(4)
    dut.r.value = random.getrandbits(4)
    for _ in range(1, LATENCY):
        assert dut.done.value == 0
        await FallingEdge(dut.clk)
    assert dut.done.value == 1
    found = int(dut.q0.value) ^ int(dut.q1.value)
    expected = a & (b ^ 15 * complement)
    assert found == expected, f"a, b, complement = {a}, {b}, {complement}: {found}"


@cocotb.test()
async def all_operands(dut):
    """All operands, and each with its complement."""
    await reset(dut)
    for a in range(16):
        for b in range(16):
            for complement in (0, 1):
                await check(dut, a, b, complement)


@cocotb.test()
async def pipeline(dut):
    """A start in every cycle: `done` follows, and with it the results in order."""
    await reset(dut)
    pairs = [(random.getrandbits(4), random.getrandbits(4)) for _ in range(50)]
    dut.complement.value = 0
    for place in range(len(pairs) + LATENCY - 1):
        dut.start.value = place < len(pairs)
        a, b = pairs[place] if place < len(pairs) else (0, 0)
        dut.a0.value, dut.a1.value = share(a)
        dut.b0.value, dut.b1.value = share(b)
        dut.r.value = random.getrandbits(4)
        await FallingEdge(dut.clk)
        if place >= LATENCY - 1:
            a, b = pairs[place - LATENCY + 1]
            assert dut.done.value == 1
            assert int(dut.q0.value) ^ int(dut.q1.value) == a & b
