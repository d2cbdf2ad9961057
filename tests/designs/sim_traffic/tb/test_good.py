import cocotb
from driver import drive, start


@cocotb.test()
async def every_arc(dut):
    """Takes every arc: also YELLOW -> GREEN, and YELLOW -> RED without a reset."""
    await start(dut)
    await drive(dut, (1, 1), (1, 1), (1, 0), (1, 1), (0, 0), (0, 0), (0, 0))
    assert dut.go.value == 0


@cocotb.test()
async def reset_only(dut):
    await start(dut)
    assert dut.count.value == 0
