"""A cocotb test that gives a netlist the inputs of traces (side_channel_baselines.py)."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

_ALL = (1 << 64) - 1


@cocotb.test()
async def traces(dut: Any) -> None:
    """N_TRACES traces in a row, by the plan in the file PLAN."""
    told = json.loads(Path(os.environ["PLAN"]).read_text("utf-8"))
    plan, reset = told["plan"], told["reset"]
    draw = random.Random(1)
    inputs = [getattr(dut, f"i{n}") for n in range(len(plan[0]))]
    values = [0] * len(inputs)
    dut.rst.value = reset
    for port in inputs:
        port.value = 0
    Clock(dut.clk, 10, unit="ns").start()
    for _ in range(4):
        await FallingEdge(dut.clk)
    dut.rst.value = 1 - reset
    for _ in range(int(os.environ["N_TRACES"])):
        for cycle in plan:
            for n, (keep, fresh, one) in enumerate(cycle):
                if keep != _ALL:
                    values[n] = values[n] & keep | draw.getrandbits(64) & fresh | one
                    inputs[n].value = values[n]
            await FallingEdge(dut.clk)
