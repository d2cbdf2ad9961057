import random

import cocotb
from cocotb.triggers import ClockCycles
from driver import drive, start


@cocotb.test()
async def short(dut):
    await start(dut)
    await drive(dut, (1, 1))
    assert dut.go.value == 1


@cocotb.test()
async def wrong(dut):
    await start(dut)
    await drive(dut, (1, 1))
    assert dut.go.value == 0, "the light should be red"


@cocotb.test()
@cocotb.parametrize(steps=[3, 30])
async def counts(dut, steps):
    await start(dut)
    dut.request.value = 1
    dut.hold.value = 1
    await ClockCycles(dut.clk, steps)


@cocotb.test(skip=True)
async def left_out(dut):
    raise AssertionError("never run")


@cocotb.test()
async def draws(dut):
    await start(dut)
    cocotb.log.info("draw %d", random.randrange(1000))
