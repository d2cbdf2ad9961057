import os
import socket
import sys
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles


@cocotb.test()
async def fine(dut):
    Clock(dut.clk, 10, unit="ns").start()
    await ClockCycles(dut.clk, 3)


@cocotb.test()
async def never_ends(dut):
    while True:
        pass


@cocotb.test()
async def leaves(dut):
    os._exit(0)


@cocotb.test()
async def claims_and_leaves(dut):
    """Writes a result that says 'passed' of another test, and goes."""
    Path("results.xml").write_text(
        '<testsuites><testsuite><testcase classname="x" name="y"/></testsuite></testsuites>'
    )
    os._exit(0)


@cocotb.test()
async def eats_memory(dut):
    eaten = []
    while True:
        eaten.append(bytearray(b"x" * (16 << 20)))


@cocotb.test()
async def prints_much(dut):
    for _ in range(20):
        sys.stdout.write(("y" * 1023 + "\n") * 1024)


@cocotb.test()
async def reaches_out(dut):
    """Passes only if none of it works."""
    done = []
    targets = Path(__file__).with_name("targets").read_text().splitlines()
    for folder in (*targets, Path(__file__).parent):
        try:
            Path(folder, "openforge_escaped").write_text("x")
            done.append(folder)
        except OSError:
            pass
    try:
        port = int(Path(__file__).with_name("port").read_text())
        socket.create_connection(("127.0.0.1", port), 2)
        done.append("network")
    except OSError:
        pass
    assert not done, done
