"""Tests of the counter; each runs in a simulator of its own."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


async def reset(dut):
    """Start the clock and leave reset with everything at rest."""
    Clock(dut.clk, 10, unit="ns").start()
    dut.enable.value = 0
    dut.clear.value = 0
    dut.rst_n.value = 0
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst_n.value = 1


@cocotb.test()
async def counts_up_to_the_limit(dut):
    """The count goes up by one a cycle and stops at nine."""
    await reset(dut)
    dut.enable.value = 1
    for cycle in range(15):
        assert int(dut.count.value) == min(cycle, 9)
        assert int(dut.full.value) == (cycle >= 9)
        await FallingEdge(dut.clk)


@cocotb.test()
async def clear_wins_over_enable(dut):
    """A clear sets the count to zero, also while it is enabled."""
    await reset(dut)
    dut.enable.value = 1
    for _ in range(12):
        await FallingEdge(dut.clk)
    dut.clear.value = 1
    await FallingEdge(dut.clk)
    assert int(dut.count.value) == 0
    dut.clear.value = 0


@cocotb.test()
async def reset_at_any_time(dut):
    """A reset while it counts sets the count to zero at once."""
    await reset(dut)
    dut.enable.value = 1
    for _ in range(5):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 0
    await FallingEdge(dut.clk)
    assert int(dut.count.value) == 0
