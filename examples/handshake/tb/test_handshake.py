"""The pipeline against a Python queue that is compared in every cycle, and its latency."""

import random
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

LATENCY = 2

# Inputs are driven after the falling edge and everything is read before the rising one, so no
# reading depends on the order in which a simulator updates registers.


def mix(data: int, key: int) -> int:
    """(data ^ key) rotated left by the low five bits of the key."""
    doubled = (data ^ key) * (1 << 32 | 1)
    return doubled >> 32 - key % 32 & 0xFFFFFFFF


async def reset(dut) -> None:
    """Start the clock and hold the reset for two cycles."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("in_valid", "in_data", "in_key", "out_ready"):
        getattr(dut, name).value = 0
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def traffic(dut, words: list[tuple[int, int]], *, offer: float, take: float) -> None:
    """Send all words; each comes out as the model says and in the cycle that the law says.

    A word that was accepted in cycle t is shown LATENCY cycles later or, if the word before it was
    taken in cycle u, in the cycle after u, whichever is later.
    """
    waiting, inside = deque(words), deque()  # the inside: (due, expected)
    cycle, taken = 0, -1
    while waiting or inside:
        offered, ready = bool(waiting) and random.random() < offer, random.random() < take
        dut.in_valid.value, dut.out_ready.value = int(offered), int(ready)
        dut.in_data.value, dut.in_key.value = waiting[0] if offered else (0, 0)
        await ReadOnly()
        shown = bool(inside) and cycle >= max(inside[0][0], taken + 1)
        assert bool(dut.out_valid.value) == shown, f"out_valid in cycle {cycle}"
        assert bool(dut.in_ready.value) == (len(inside) < 2 or (shown and ready))
        if shown:
            assert int(dut.out_data.value) == inside[0][1], f"out_data in cycle {cycle}"
        accepted = offered and dut.in_ready.value == 1
        if shown and ready:
            inside.popleft()
            taken = cycle
        if accepted:
            inside.append((cycle + LATENCY, mix(*waiting.popleft())))
        cycle += 1
        await FallingEdge(dut.clk)


def random_words(count: int) -> list[tuple[int, int]]:
    return [(random.getrandbits(32), random.getrandbits(32)) for _ in range(count)]


@cocotb.test()
async def corner_values(dut):
    """All distances, with data of one bit, none and all."""
    await reset(dut)
    words = [(data, key) for key in range(32) for data in (0, 1, 0x80000000, 0xFFFFFFFF)]
    await traffic(dut, words, offer=1.0, take=1.0)


@cocotb.test()
@cocotb.parametrize(offer=[0.3, 0.7, 1.0], take=[0.3, 0.7, 1.0])
async def back_pressure(dut, offer, take):
    """Any mix of rates: nothing is lost, repeated, changed or reordered, and none is late."""
    await reset(dut)
    await traffic(dut, random_words(150), offer=offer, take=take)
