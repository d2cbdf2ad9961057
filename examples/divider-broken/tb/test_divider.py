"""The divider against Python's ``divmod``, and its latency."""

import itertools
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

CORNERS = (0, 1, 2, 3, 0x7FFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


def divide(dividend: int, divisor: int) -> tuple[int, int]:
    """Quotient and remainder, those of RISC-V where the divisor is 0."""
    return divmod(dividend, divisor) if divisor else (0xFFFFFFFF, dividend)


def latency(dividend: int, divisor: int) -> int:
    """Cycles from start to done: two and one for each bit of the dividend; two to divide by 0."""
    return 2 + (dividend.bit_length() if divisor else 0)


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "dividend", "divisor"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, dividend: int, divisor: int) -> None:
    """Divide; the results and the cycles must be right."""
    dut.start.value, dut.dividend.value, dut.divisor.value = 1, dividend, divisor
    await FallingEdge(dut.clk)
    dut.dividend.value = dut.divisor.value = random.getrandbits(32)  # only the start counts
    cycles = 1
    while dut.done.value == 0:
        assert dut.busy.value == 1 and cycles < 100
        dut.start.value = random.getrandbits(1)  # a start while busy is not heeded
        await FallingEdge(dut.clk)
        cycles += 1
    dut.start.value = 0
    await FallingEdge(dut.clk)
    assert (dut.busy.value, dut.done.value) == (0, 0)
    results = int(dut.quotient.value), int(dut.remainder.value)
    assert results == divide(dividend, divisor), f"{dividend} / {divisor}: {results}"
    assert cycles == latency(dividend, divisor), f"{dividend} / {divisor}: {cycles} cycles"


@cocotb.test()
async def corner_values(dut):
    """All pairs of corners, zeros included."""
    await reset(dut)
    for dividend, divisor in itertools.product(CORNERS, repeat=2):
        await check(dut, dividend, divisor)


@cocotb.test()
async def random_values(dut):
    """Operands of all sizes, and divisions by zero."""
    await reset(dut)
    for _ in range(200):
        dividend, divisor = (random.getrandbits(random.randrange(1, 33)) for _ in range(2))
        await check(dut, dividend, divisor)
