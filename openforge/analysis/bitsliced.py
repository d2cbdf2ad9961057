"""Bit-sliced simulation of a netlist: power, toggles and values of 512 traces at a time.

The compiled part does it where there is one (`openforge.native`), numpy elsewhere, with the same
numbers. Traces are numbered from 0; a batch is 512 of them. What a batch gives depends on the key
and its number alone, and everything is an integer, so that results of any batches in any order can
be added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from openforge import native
from openforge.analysis import bitsliced_native, bitsliced_numpy
from openforge.analysis.bitsliced_arrays import PlanArrays, ProbingSet, arrays, start_values
from openforge.analysis.gates import Gates
from openforge.analysis.stimulus import LANES, Stimulus
from openforge.analysis.tape import Tape, tape

__all__ = ["LANES", "Model", "ProbingSet", "Simulation", "simulation"]


_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


class Model(IntEnum):
    """What counts as power in a cycle."""

    HAMMING_DISTANCE = 0  # nets whose settled value is not that of the cycle before
    HAMMING_WEIGHT = 1  # nets whose settled value is 1
    TOGGLE_COUNT = 2  # changes on the way to the settled values, each gate with a delay of one


@dataclass(frozen=True)
class Simulation:
    """A netlist with its stimuli, ready to be simulated."""

    gates: Gates
    tape: Tape
    stimulus: Stimulus
    plan: PlanArrays
    start: NDArray[np.uint8]
    model: Model
    key: int

    @property
    def n_cycles(self) -> int:
        """Cycles of a trace."""
        return self.stimulus.n_cycles

    def power(self, first: int, n_batches: int) -> NDArray[np.uint32]:
        """The power of each trace and cycle: uint32[n_batches * 512, n_cycles]."""
        return self._engine().power(self, first, n_batches)

    def histogram(
        self, first: int, n_batches: int, origin: NDArray[np.int64], n_bins: int
    ) -> tuple[NDArray[np.uint64], int]:
        """How often each power occurred, and how many values were in no bin.

        uint64[2, n_cycles, n_bins], by class (0 fixed, 1 random); bin b of cycle c is the power
        ``origin[c] + b``.
        """
        return self._engine().histogram(self, first, n_batches, origin, n_bins)

    def toggles(self, first: int, n_batches: int, begin: int, end: int) -> NDArray[np.uint32]:
        """In how many traces each vector changed: uint32[end - begin, n_nets, 2].

        The last index: traces of the fixed class, all traces. With `Model.HAMMING_WEIGHT`, in how
        many the net was 1; with `Model.TOGGLE_COUNT`, how many changes there were.
        """
        return self._engine().toggles(self, first, n_batches, begin, end)

    def values(self, batch: int, nets: Sequence[int]) -> NDArray[np.uint64]:
        """The settled values of `nets` in one batch: uint64[n_cycles, n, 8], a bit a trace.

        Nets inside cells, which are not evaluated when they are the same as others, are 0.
        """
        vectors = self.tape.vector[list(nets)]
        held = vectors >= 0
        found = self._engine().values(self, batch, np.where(held, vectors, 0).astype(np.uint32))
        flip = np.where(held, self.tape.complemented[vectors], self.tape.constant[list(nets)] == 1)
        return found ^ np.where(flip.astype(bool), _ALL, np.uint64(0))[None, :, None]

    def poked(self, batch: int) -> dict[int, NDArray[np.bool_]]:
        """What registers hold before the traces of a batch, by net: bool[512]."""
        found = bitsliced_numpy.poked(self, batch)
        return {net: found[int(self.tape.vector[net])] for net in self.stimulus.pokes}

    def initially(self, net: int) -> bool:
        """The value of a net at the end of the prologue, which is the same in all traces."""
        vector = int(self.tape.vector[net])
        if vector < 0:
            return bool(self.tape.constant[net] == 1)
        return bool(self.start[vector] ^ self.tape.complemented[vector])

    def tables(
        self, first: int, n_batches: int, sets: Sequence[ProbingSet]
    ) -> list[NDArray[np.uint32]]:
        """How often each joint value of each probing set occurred: uint32[n_cycles, 2, cells]."""
        return self._engine().tables(self, first, n_batches, sets)

    def power_by_numpy(self, first: int, n_batches: int) -> NDArray[np.uint32]:
        """As `power`, but never by the compiled part: a second opinion."""
        return bitsliced_numpy.Engine().power(self, first, n_batches)

    def _engine(self) -> bitsliced_native.Engine | bitsliced_numpy.Engine:
        library = native.library()
        return bitsliced_native.Engine(library) if library else bitsliced_numpy.Engine()


def simulation(
    gates: Gates, stimulus: Stimulus, model: Model, key: int, made: Tape | None = None
) -> Simulation:
    """A simulation of `gates` under `stimulus`, of which the prologue is run.

    `made` is a tape that fits, with no input constant that changes; without, one is made for the
    stimulus.
    """
    if made is None:
        made = tape(gates, stimulus.constants, delays=model is Model.TOGGLE_COUNT)
    return Simulation(
        gates=gates,
        tape=made,
        stimulus=stimulus,
        plan=arrays(stimulus, made),
        start=start_values(gates, made, stimulus.prologue),
        model=model,
        key=key,
    )
