"""The exponentiation against Python's ``pow``, and its latency."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


def latency(exponent: int) -> int:
    """Cycles from start to done: four a square, four a product, 16 of each, and one more."""
    return 1 + 4 * 16 + 4 * 16


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "base", "exponent", "modulus"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, base: int, exponent: int, modulus: int) -> None:
    """Exponentiate; the power and the cycles must be right."""
    dut.start.value, dut.base.value = 1, base
    dut.exponent.value, dut.modulus.value = exponent, modulus
    await FallingEdge(dut.clk)
    dut.base.value = dut.exponent.value = dut.modulus.value = random.getrandbits(16)
    cycles = 1
    while dut.done.value == 0:
        assert dut.busy.value == 1 and cycles < 200
        dut.start.value = random.getrandbits(1)  # a start while busy is not heeded
        await FallingEdge(dut.clk)
        cycles += 1
    power, expected = int(dut.power.value), pow(base, exponent, modulus)
    assert power == expected, f"{base}^{exponent} mod {modulus}: {power}, expected {expected}"
    assert cycles == latency(exponent), f"exponent {exponent:04x}: {cycles} cycles"
    dut.start.value = 0
    await FallingEdge(dut.clk)
    assert (dut.busy.value, dut.done.value) == (0, 0)


@cocotb.test()
@cocotb.parametrize(modulus=[2, 3, 0x8000, 0xFFFF])
async def corner_values(dut, modulus):
    """The smallest and the largest bases and exponents, even and odd moduli."""
    await reset(dut)
    for base in {0, 1, modulus - 1}:
        for exponent in (0, 1, 0x8000, 0xAAAA, 0xFFFF):
            await check(dut, base, exponent, modulus)


@cocotb.test()
async def random_values(dut):
    """Moduli and exponents of all sizes."""
    await reset(dut)
    for _ in range(60):
        modulus = random.randrange(2, 1 << random.randrange(2, 17))
        exponent = random.getrandbits(random.randrange(1, 17))
        await check(dut, random.randrange(modulus), exponent, modulus)
