"""The first round of AES-128 against FIPS 197: its vectors, and a model for random blocks."""

import random

import cocotb
from aes_model import first_round
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

LATENCY = 2
VECTORS = (  # key, block, state at the start of round 2 of FIPS 197, appendices B and C.1
    (0x2B7E151628AED2A6ABF7158809CF4F3C, 0x3243F6A8885A308D313198A2E0370734,
     0xA49C7FF2689F352B6B5BEA43026A5049),
    (0x000102030405060708090A0B0C0D0E0F, 0x00112233445566778899AABBCCDDEEFF,
     0x89D810E8855ACE682D1843D8CB128FE4),
)  # fmt: skip

# Inputs are driven after the falling edge and outputs are read at it, in the middle of a cycle.


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "key", "block"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def check(dut, key: int, block: int, expected: int) -> None:
    """One round; the state and the cycles must be right."""
    dut.start.value, dut.key.value, dut.block.value = 1, key, block
    await FallingEdge(dut.clk)
    dut.key.value = dut.block.value = random.getrandbits(128)  # only the start counts
    for _ in range(1, LATENCY):
        assert (dut.busy.value, dut.done.value) == (1, 0)
        dut.start.value = random.getrandbits(1)  # a start while busy is not heeded
        await FallingEdge(dut.clk)
    assert (dut.busy.value, dut.done.value) == (0, 1), f"no result after {LATENCY} cycles"
    found = int(dut.state.value)
    assert found == expected, f"key {key:032x}, block {block:032x}: {found:032x}"
    dut.start.value = 0
    await FallingEdge(dut.clk)
    assert (dut.busy.value, dut.done.value) == (0, 0)


@cocotb.test()
async def published_vectors(dut):
    """The examples of FIPS 197, which the model must meet too."""
    await reset(dut)
    for key, block, expected in VECTORS:
        assert first_round(key, block) == expected
        await check(dut, key, block, expected)


@cocotb.test()
async def random_blocks(dut):
    """Corners and uniform keys and blocks."""
    await reset(dut)
    ones = (1 << 128) - 1
    pairs = [(0, 0), (0, ones), (ones, 0), (ones, ones)]
    pairs += [(random.getrandbits(128), random.getrandbits(128)) for _ in range(100)]
    for key, block in pairs:
        await check(dut, key, block, first_round(key, block))
