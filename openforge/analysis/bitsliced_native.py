"""The compiled simulation: arrays -> the structures of ``openforge/native/bitsliced.c``."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.stimulus import LANES, WORDS
from openforge.analysis.tape import GROUP

if TYPE_CHECKING:
    from openforge.analysis.bitsliced import Simulation
    from openforge.analysis.bitsliced_arrays import ProbingSet

_P, _U32, _U64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
_SPLIT = 2  # histograms, so that increments in a row do not wait for each other
_ALIGNMENT = 64
_FLAG_WORD = 64


def _structure(name: str, fields: str) -> type[ctypes.Structure]:
    """A structure: names of 32-bit numbers are plain, ``:`` marks 64-bit ones, ``*`` pointers."""
    kinds = {"": _U32, ":": _U64, "*": _P}
    described = []
    for word in fields.split():
        mark = word[0] if word[0] in kinds else ""
        described.append((word.removeprefix(mark), kinds[mark]))
    return type(name, (ctypes.Structure,), {"_fields_": described})


_Tape = _structure(
    "_Tape",
    "n_nets n_blocks n_registers first_register n_inputs n_flags *op *counted *first *groups"
    " *operand *a *b *c *depend *depend_word *depend_mask *d *d_inverted *complemented *weight",
)
_Plan = _structure(
    "_Plan",
    "n_cycles n_variables n_slots n_groups n_pokes *kind *x *y *slot *modulus *fixed"
    " *n_shares *width *group_slot *group_first *group_mode *event_start *event_vector"
    " *event_source *poke_vector *poke_source",
)
_Output = _structure(
    "_Output",
    "*histogram *origin :n_bins *outside *power *classes *toggles cycle_begin cycle_end *values"
    " *watched n_watched n_sets *set_start *set_vector *set_before *set_hash *set_bits *set_mixed"
    " *set_table *tables *before",
)
_Scratch = _structure("_Scratch", "*state *next *variables *shares *flags *count")


class Engine:
    """Runs simulations with a library. Calls release the interpreter's lock."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        kinds = (_Tape, _Plan, _Output, _Scratch)
        sizes = [library.of_sizes(n) for n in range(len(kinds))]
        if sizes != [ctypes.sizeof(kind) for kind in kinds]:
            raise RuntimeError("the compiled part is of another version; install the package again")

    def power(self, simulation: Simulation, first: int, n_batches: int) -> NDArray[np.uint32]:
        """See `bitsliced.Simulation.power`."""
        found = np.zeros((n_batches * LANES, simulation.n_cycles), np.uint32)
        self._run(simulation, first, n_batches, power=found)
        return found

    def histogram(
        self,
        simulation: Simulation,
        first: int,
        n_batches: int,
        origin: NDArray[np.int64],
        n_bins: int,
    ) -> tuple[NDArray[np.uint64], int]:
        """See `bitsliced.Simulation.histogram`."""
        cycles = simulation.n_cycles
        found = np.zeros((_SPLIT, cycles, 2, n_bins), np.uint32)
        outside = np.zeros(1, np.uint64)
        self._run(
            simulation,
            first,
            n_batches,
            histogram=found,
            origin=np.ascontiguousarray(origin, np.int64),
            n_bins=n_bins,
            outside=outside,
        )
        return found.sum(axis=0, dtype=np.uint64).swapaxes(0, 1), int(outside[0])

    def toggles(
        self, simulation: Simulation, first: int, n_batches: int, begin: int, end: int
    ) -> NDArray[np.uint32]:
        """See `bitsliced.Simulation.toggles`."""
        found = np.zeros((end - begin, simulation.tape.n_nets, 2), np.uint32)
        self._run(simulation, first, n_batches, toggles=found, cycle_begin=begin, cycle_end=end)
        return found

    def values(
        self, simulation: Simulation, batch: int, vectors: NDArray[np.uint32]
    ) -> NDArray[np.uint64]:
        """See `bitsliced.Simulation.values`."""
        found = np.zeros((simulation.n_cycles, len(vectors), WORDS), np.uint64)
        self._run(simulation, batch, 1, values=found, watched=vectors, n_watched=len(vectors))
        return found

    def tables(
        self, simulation: Simulation, first: int, n_batches: int, sets: Sequence[ProbingSet]
    ) -> list[NDArray[np.uint32]]:
        """See `bitsliced.Simulation.tables`."""
        cycles = simulation.n_cycles
        sizes = [2 * cycles << found.bits for found in sets]
        start = np.cumsum([0, *sizes])
        counts = np.zeros(int(start[-1]), np.uint32)
        self._run(
            simulation,
            first,
            n_batches,
            n_sets=len(sets),
            set_start=np.cumsum([0, *(len(s.vectors) for s in sets)]).astype(np.uint32),
            set_vector=np.array([v for s in sets for v in s.vectors], np.uint32),
            set_before=np.array([b for s in sets for b in s.before], np.uint8),
            set_hash=np.concatenate([s.hashes() for s in sets]),
            set_bits=np.array([s.bits for s in sets], np.uint8),
            set_mixed=np.array([not s.exact for s in sets], np.uint8),
            set_table=start[:-1].astype(np.uint64),
            tables=counts,
            before=_vectors(simulation.tape.n_nets),
        )
        return [
            counts[begin:end].reshape(cycles, 2, -1) for begin, end in itertools.pairwise(start)
        ]

    def _run(self, simulation: Simulation, first: int, n_batches: int, **output: Any) -> None:
        tape, plan = simulation.tape, simulation.plan
        scratch: dict[str, NDArray[Any]] = {
            "state": _vectors(tape.n_nets),
            "next": _vectors(tape.n_registers),
            "variables": _vectors(len(plan.kind)),
            "shares": _vectors(plan.n_share_bits),
            "flags": np.zeros(tape.n_flags // _FLAG_WORD + 1, np.uint64),
            "count": np.zeros(2 * LANES + _ALIGNMENT, np.uint16),
        }
        count = scratch["count"]
        shift = -count.ctypes.data % _ALIGNMENT // count.itemsize
        scratch["count"] = count[shift : shift + 2 * LANES]
        failed = self._library.of_simulate(
            ctypes.byref(_filled(_Tape, _tape_fields(simulation))),
            ctypes.byref(_filled(_Plan, _plan_fields(simulation))),
            _P(simulation.start.ctypes.data),
            _U64(simulation.key),
            _U64(first),
            _U64(n_batches),
            _U32(simulation.model),
            ctypes.byref(_filled(_Output, output)),
            ctypes.byref(_filled(_Scratch, scratch)),
        )
        if failed:
            raise ValueError(f"at most {65536 * GROUP} registers can be simulated")


def _tape_fields(simulation: Simulation) -> dict[str, Any]:
    tape = simulation.tape
    depend, words, masks = tape.depends
    names = "n_nets n_registers first_register n_inputs n_flags op counted first groups operand"
    names += " a b c d d_inverted complemented weight"
    return {name: getattr(tape, name) for name in names.split()} | {
        "n_blocks": len(tape.op),
        "depend": depend,
        "depend_word": words,
        "depend_mask": masks,
    }


def _plan_fields(simulation: Simulation) -> dict[str, Any]:
    plan = simulation.plan
    names = "n_cycles n_slots kind x y slot modulus fixed n_shares width group_slot group_first"
    names += " group_mode"
    names += " event_start event_vector event_source poke_vector poke_source"
    return {name: getattr(plan, name) for name in names.split()} | {
        "n_variables": len(plan.kind),
        "n_groups": len(plan.modulus),
        "n_pokes": len(plan.poke_vector),
    }


def _filled(kind: type[ctypes.Structure], fields: dict[str, Any]) -> ctypes.Structure:
    """A structure with numbers and the addresses of arrays; the arrays outlive the call."""
    return kind(
        **{
            name: value.ctypes.data if isinstance(value, np.ndarray) else value
            for name, value in fields.items()
        }
    )


def _vectors(count: int) -> NDArray[np.uint64]:
    """`count` vectors of 512 bits, aligned as the processor wants them."""
    space = np.zeros((count + 1) * WORDS, np.uint64)
    shift = -space.ctypes.data % _ALIGNMENT // space.itemsize
    return space[shift : shift + max(count, 1) * WORDS]
