from cocotb.clock import Clock
from cocotb.triggers import ClockCycles


async def start(dut):
    dut.request.value = 0
    dut.hold.value = 0
    dut.rst_n.value = 0
    Clock(dut.clk, 10, unit="ns").start()
    await ClockCycles(dut.clk, 2)
    dut.rst_n.value = 1
    await ClockCycles(dut.clk, 2)


async def drive(dut, *steps):
    for request, hold in steps:
        dut.request.value = request
        dut.hold.value = hold
        await ClockCycles(dut.clk, 2)
