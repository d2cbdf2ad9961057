"""The FIFO against a Python queue that is compared in every cycle."""

import random
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

EMPTY, PARTIAL, FULL = 0, 1, 2

# Inputs are driven after the falling edge and everything is read before the rising one, so no
# reading depends on the order in which a simulator updates registers.


class Scoreboard:
    """A queue in Python that goes through every cycle beside the FIFO."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.depth = int(dut.DEPTH.value)
        self.words = 1 << int(dut.WIDTH.value)
        self.queue: deque[int] = deque()

    async def reset(self) -> None:
        """Hold the reset for two cycles; the queue forgets everything."""
        self.dut.rst_n.value = self.dut.write_valid.value = self.dut.read_ready.value = 0
        self.dut.write_data.value = 0
        for _ in range(2):
            await FallingEdge(self.dut.clk)
        self.queue.clear()
        self.dut.rst_n.value = 1

    async def cycle(self, *, write: int | None = None, read: bool = False) -> None:
        """Offer the word `write`, if any, and accept one if `read`; compare all outputs."""
        self.dut.write_valid.value = int(write is not None)
        self.dut.read_ready.value = int(read)
        if write is not None:
            self.dut.write_data.value = write
        await ReadOnly()
        self._compare()
        pushes = write is not None and len(self.queue) < self.depth
        if read and self.queue:
            self.queue.popleft()
        if pushes:
            self.queue.append(write)
        await FallingEdge(self.dut.clk)

    def _compare(self) -> None:
        held, dut = len(self.queue), self.dut
        assert int(dut.count.value) == held
        assert bool(dut.write_ready.value) == (held < self.depth)
        assert bool(dut.read_valid.value) == (held > 0)
        level = EMPTY if held == 0 else FULL if held == self.depth else PARTIAL
        expected = level << 2 | (held <= 1) << 1 | (held >= self.depth - 1)
        assert int(dut.status.value) == expected, f"status with {held} entries"
        if self.queue:
            assert int(dut.read_data.value) == self.queue[0], "the oldest entry comes first"


async def started(dut) -> Scoreboard:
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    scoreboard = Scoreboard(dut)
    await scoreboard.reset()
    return scoreboard


@cocotb.test()
async def fill_and_drain(dut):
    """A full FIFO refuses, an empty one gives nothing, and order is kept in between."""
    board = await started(dut)
    for word in range(board.depth + 2):
        await board.cycle(write=word)
    for _ in range(board.depth + 2):
        await board.cycle(read=True)


@cocotb.test()
async def full_and_read(dut):
    """A full FIFO takes nothing in the cycle in which it is read."""
    board = await started(dut)
    for word in range(board.depth):
        await board.cycle(write=word)
    await board.cycle(write=0xEE, read=True)
    assert len(board.queue) == board.depth - 1
    for _ in range(board.depth):
        await board.cycle(read=True)


@cocotb.test()
async def streaming(dut):
    """Written and read in every cycle, the pointers wrap many times."""
    board = await started(dut)
    for word in range(300):
        await board.cycle(write=word % board.words, read=True)


@cocotb.test()
@cocotb.parametrize(write_rate=[0.2, 0.5, 0.9], read_rate=[0.2, 0.5, 0.9])
async def random_traffic(dut, write_rate, read_rate):
    """Any mix of rates: nothing is lost, repeated, changed or reordered."""
    board = await started(dut)
    for _ in range(400):
        word = random.randrange(board.words) if random.random() < write_rate else None
        await board.cycle(write=word, read=random.random() < read_rate)


@cocotb.test()
@cocotb.parametrize(entries=[1, 5, 8])
async def reset_forgets(dut, entries):
    """A reset empties the FIFO from any level."""
    board = await started(dut)
    for word in range(entries):
        await board.cycle(write=word)
    await board.reset()
    await board.cycle(read=True)
    await board.cycle(write=0xA5)
    await board.cycle(read=True)
    await board.cycle()
