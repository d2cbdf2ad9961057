"""The butterfly unit against the formulas of FIPS 203, and its jobs against their contract."""

import itertools
import random

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly
from ntt_model import (
    LATENCY,
    Q,
    check_job,
    pulse_reset,
    random_operands,
    reset,
    run_job,
    start,
    twiddle,
)

CORNERS = (0, 1, 2, Q // 2, Q // 2 + 1, Q - 2, Q - 1)


@cocotb.test()
@cocotb.parametrize(inverse=[False, True])
async def random_values(dut, inverse):
    """Uniform operands, one butterfly a cycle."""
    await reset(dut)
    await check_job(dut, random_operands(255), inverse=inverse)


@cocotb.test()
@cocotb.parametrize(inverse=[False, True])
async def corner_values(dut, inverse):
    """All corners of all operands: the largest products are where a Barrett constant errs."""
    await reset(dut)
    corners = list(itertools.product(CORNERS, repeat=3))
    for first in range(0, len(corners), 128):
        await check_job(dut, corners[first : first + 128], inverse=inverse)


@cocotb.test()
async def twiddle_factors(dut):
    """The 127 factors of an ML-KEM transform, each with a random and with the largest operand."""
    await reset(dut)
    for b in (random.randrange(Q), Q - 1):
        layer = [(random.randrange(Q), b, twiddle(index)) for index in range(1, 128)]
        await check_job(dut, layer, inverse=False)


@cocotb.test()
async def inverse_undoes_forward(dut):
    """Forward, then inverse with the negated inverse factor, doubles both operands."""
    await reset(dut)
    operands = [(random.randrange(Q), random.randrange(Q), random.randrange(1, Q)) for _ in range(64)]
    there, _ = await run_job(dut, operands, inverse=False)
    back = [(x, y, Q - pow(zeta, -1, Q)) for (x, y), (_, _, zeta) in zip(there, operands, strict=True)]
    again, _ = await run_job(dut, back, inverse=True)
    assert again == [(2 * a % Q, 2 * b % Q) for a, b, _ in operands]


@cocotb.test()
@cocotb.parametrize(rates=[(1.0, 0.3), (0.3, 1.0), (0.5, 0.5)])
async def back_pressure(dut, rates):
    """Slow producers and consumers lose, repeat and reorder nothing."""
    await reset(dut)
    offer, take = rates
    for inverse in (False, True):
        await check_job(dut, random_operands(100), inverse=inverse, offer=offer, take=take)


@cocotb.test()
async def throughput(dut):
    """A job of n butterflies takes n cycles, the latency and one cycle to see the end."""
    await reset(dut)
    for length in (1, 2, 128):
        cycles = await check_job(dut, random_operands(length), inverse=False)
        assert cycles == length + LATENCY + 1, f"{length} butterflies took {cycles} cycles"


@cocotb.test()
async def empty_job(dut):
    """A job of length zero is done at once and takes no operand."""
    await reset(dut)
    assert await check_job(dut, [], inverse=False) == 0


@cocotb.test()
@cocotb.parametrize(fed=[0, 1, 3])
async def reset_during_a_job(dut, fed):
    """A reset in RUN or DRAIN drops the job, and the next one is not disturbed."""
    await reset(dut)
    await start(dut, 3, inverse=True)
    dut.in_valid.value = 1
    for a in range(fed):
        dut.a.value, dut.b.value, dut.zeta.value = a, 7, Q - 1
        await FallingEdge(dut.clk)
    dut.in_valid.value = 0
    await pulse_reset(dut)
    await ReadOnly()
    assert (dut.busy.value, dut.out_valid.value, dut.in_ready.value) == (0, 0, 0)
    await FallingEdge(dut.clk)
    await check_job(dut, random_operands(10), inverse=False)


@cocotb.test()
async def operands_without_a_job(dut):
    """An idle unit takes no operands."""
    await reset(dut)
    dut.in_valid.value = 1
    for _ in range(5):
        await ReadOnly()
        assert dut.in_ready.value == 0
        await FallingEdge(dut.clk)
    dut.in_valid.value = 0
    await check_job(dut, random_operands(3), inverse=True)
