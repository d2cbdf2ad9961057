"""The ML-KEM butterflies in plain Python, and the stream they are checked over."""

import random
from collections import deque
from collections.abc import Iterable

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

Q = 3329
LATENCY = 5
Operands = tuple[int, int, int]
Results = tuple[int, int]

# Inputs are driven after the falling edge and everything is read before the rising one, so no
# reading depends on the order in which a simulator updates registers.


def twiddle(index: int) -> int:
    """The factor zeta^BitRev7(index) of FIPS 203, section 4.3, with zeta = 17."""
    return pow(17, int(f"{index:07b}"[::-1], 2), Q)


def butterfly(operands: Operands, *, inverse: bool) -> Results:
    """The results (x, y) of FIPS 203, algorithm 9 or, if `inverse`, algorithm 10."""
    a, b, zeta = operands
    if inverse:
        return (a + b) % Q, zeta * (b - a) % Q
    return (a + zeta * b) % Q, (a - zeta * b) % Q


def random_operands(count: int) -> list[Operands]:
    """`count` uniform operands (a, b, zeta), each below q."""
    return [(random.randrange(Q), random.randrange(Q), random.randrange(Q)) for _ in range(count)]


async def reset(dut) -> None:
    """Start the clock, hold the reset for two cycles and leave all inputs idle."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for name in ("start", "length", "start_inverse", "in_valid", "out_ready", "a", "b", "zeta"):
        getattr(dut, name).value = 0
    await pulse_reset(dut)


async def pulse_reset(dut) -> None:
    """Hold the reset for two cycles."""
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def start(dut, length: int, *, inverse: bool) -> None:
    """Start a job of `length` butterflies."""
    dut.start.value, dut.length.value, dut.start_inverse.value = 1, length, int(inverse)
    await FallingEdge(dut.clk)
    dut.start.value = 0


async def run_job(
    dut, operands: Iterable[Operands], *, inverse: bool, offer: float = 1.0, take: float = 1.0
) -> tuple[list[Results], int]:
    """Run one job; return its results and its cycles from start to done.

    In each cycle an operand is offered with probability `offer` and a result taken with
    probability `take`. A result that is not taken must stay.
    """
    waiting = deque(operands)
    total, results, held, cycles = len(waiting), [], None, 0
    await start(dut, total, inverse=inverse)
    while True:
        offered = bool(waiting) and random.random() < offer
        dut.in_valid.value = int(offered)
        dut.out_ready.value = int(random.random() < take)
        if offered:
            dut.a.value, dut.b.value, dut.zeta.value = waiting[0]
        await ReadOnly()
        if dut.done.value == 1:
            assert not waiting and len(results) == total, "done before the last result was taken"
            break
        shown = (int(dut.x.value), int(dut.y.value)) if dut.out_valid.value == 1 else None
        assert held is None or shown == held, f"a waiting result changed from {held} to {shown}"
        held = shown if dut.out_ready.value == 0 else None
        if shown and dut.out_ready.value == 1:
            results.append(shown)
        if offered and dut.in_ready.value == 1:
            waiting.popleft()
        cycles += 1
        assert cycles < 100 + 50 * total, "the job does not end"
        await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.in_valid.value = dut.out_ready.value = 0
    await ReadOnly()
    assert dut.busy.value == 0 and dut.done.value == 0, "done must last one cycle"
    await FallingEdge(dut.clk)
    return results, cycles


async def check_job(dut, operands: list[Operands], *, inverse: bool, **rates: float) -> int:
    """Run one job, compare every result with the model and return its cycles."""
    results, cycles = await run_job(dut, operands, inverse=inverse, **rates)
    for given, found in zip(operands, results, strict=True):
        expected = butterfly(given, inverse=inverse)
        assert found == expected, f"a, b, zeta = {given}: expected {expected}, found {found}"
    return cycles
