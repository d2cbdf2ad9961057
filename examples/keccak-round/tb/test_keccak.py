"""The permutation against a Python reference, and as SHA3-256 against hashlib."""

import hashlib
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly
from keccak_reference import permute, sha3_256_block

ROUNDS = 24

# Inputs are driven after the falling edge and everything is read before the rising one, so no
# reading depends on the order in which a simulator updates registers.


async def reset(dut) -> None:
    """Start the clock, hold the reset for two cycles and leave all inputs idle."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.in_valid.value = dut.out_ready.value = dut.in_state.value = 0
    await pulse_reset(dut)


async def pulse_reset(dut) -> None:
    """Hold the reset for two cycles."""
    dut.rst_n.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst_n.value = 1
    await FallingEdge(dut.clk)


async def run(dut, state: int, *, wait: int = 0) -> int:
    """The permutation of `state`; its result is left waiting for `wait` cycles."""
    dut.in_valid.value, dut.in_state.value = 1, state
    await FallingEdge(dut.clk)
    dut.in_valid.value = 0
    for _ in range(ROUNDS):
        assert (dut.in_ready.value, dut.out_valid.value) == (0, 0)
        assert int(dut.out_state.value) == 0, "an unfinished state must not be seen"
        await FallingEdge(dut.clk)
    results = set()
    for waited in range(wait + 1):
        assert dut.out_valid.value == 1, f"no result after {ROUNDS} rounds"
        results.add(int(dut.out_state.value))
        dut.out_ready.value = int(waited == wait)
        await FallingEdge(dut.clk)
    dut.out_ready.value = 0
    await ReadOnly()
    assert (dut.in_ready.value, dut.out_valid.value) == (1, 0)
    await FallingEdge(dut.clk)
    assert len(results) == 1, "a result that waits must stay"
    return results.pop()


@cocotb.test()
async def sha3_256(dut):
    """Messages of one block have the hash that hashlib says."""
    await reset(dut)
    for length in (0, 1, 3, 64, 134, 135):
        message = random.randbytes(length)
        digest = await run(dut, sha3_256_block(message)) & ((1 << 256) - 1)
        assert digest.to_bytes(32, "little") == hashlib.sha3_256(message).digest()


@cocotb.test()
async def corner_states(dut):
    """All zeros, all ones and single bits."""
    await reset(dut)
    for state in (0, (1 << 1600) - 1, 1, 1 << 1599, 1 << random.randrange(1600)):
        assert await run(dut, state) == permute(state)


@cocotb.test()
async def random_states(dut):
    """Random states, with results that are taken late."""
    await reset(dut)
    for wait in range(6):
        state = random.getrandbits(1600)
        assert await run(dut, state, wait=wait) == permute(state)


@cocotb.test()
@cocotb.parametrize(cycles=[1, 12, 30])
async def reset_clears(dut, cycles):
    """A reset drops the state, at work or waiting, and the next one is not disturbed."""
    await reset(dut)
    dut.in_valid.value, dut.in_state.value = 1, random.getrandbits(1600)
    await FallingEdge(dut.clk)
    dut.in_valid.value = 0
    for _ in range(cycles):
        await FallingEdge(dut.clk)
    await pulse_reset(dut)
    assert (dut.in_ready.value, dut.out_valid.value, int(dut.out_state.value)) == (1, 0, 0)
    state = random.getrandbits(1600)
    assert await run(dut, state) == permute(state)
