"""The masked AND against its truth table, and its latency."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "a0", "a1", "b0", "b1", "r"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, operations: list[tuple[int, int] | None]) -> None:
    """An operation or none in every cycle, with shares at random; each result must be there."""
    for operation in [*operations, None]:
        a, b = operation or (0, 0)
        mask_a, mask_b = random.getrandbits(4), random.getrandbits(4)
        dut.start.value = operation is not None
        dut.a0.value, dut.a1.value = mask_a, mask_a ^ a
        dut.b0.value, dut.b1.value = mask_b, mask_b ^ b
        dut.r.value = random.getrandbits(4)
        await FallingEdge(dut.clk)  # the result is there one cycle later
        assert dut.done.value == (operation is not None)
        if operation is not None:
            found = int(dut.q0.value) ^ int(dut.q1.value)
            assert found == a & b, f"a, b = {a}, {b}: {found}"


@cocotb.test()
async def all_operands(dut):
    """All operands, one after the other."""
    await reset(dut)
    await check(dut, [(a, b) for a in range(16) for b in range(16)])


@cocotb.test()
async def gaps(dut):
    """Operands at random, with gaps between them: `done` comes for those that started."""
    await reset(dut)
    pairs = [(random.getrandbits(4), random.getrandbits(4)) for _ in range(200)]
    await check(dut, [pair if random.getrandbits(1) else None for pair in pairs])
