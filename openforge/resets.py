"""Which inputs are resets: by the nature of the registers, or by a conventional name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from openforge.analysis.cells import Graph, nets
from openforge.design import Reset

_CONVENTIONAL = re.compile(
    r"(i_|sys_|[sm]_axis?_)?([asn]?(rst|reset)(_?[nbl])?(_?n?i)?|[ph]resetn)", re.IGNORECASE
)


def recognised(found: Iterable[Reset], graph: Graph) -> tuple[tuple[Reset, ...], tuple[Reset, ...]]:
    """Those of `found` that are resets, and those that only look like one.

    A reset is asynchronous or has a conventional name. A synchronous clear by another name is
    none, nor is an asynchronous load of data or of a register with an initial value of its own.
    """
    loads = _loads(graph)
    taken: list[Reset] = []
    left: list[Reset] = []
    for reset in found:
        real = reset.asynchronous and reset.signal not in loads
        (taken if real or _CONVENTIONAL.fullmatch(reset.signal) else left).append(reset)
    return tuple(taken), tuple(left)


def initialised(graph: Graph) -> set[int]:
    """The nets that have a value before the first clock edge, with those read from memories."""
    found = set(graph.initial)
    for memory in graph.memories.values():
        if re.search("[01]", memory.params["INIT"]):
            found.update(nets(memory.outputs["RD_DATA"]))
    return found


def _loads(graph: Graph) -> set[str]:
    """The ports that set registers to more than a constant, or registers that have a value."""
    started = initialised(graph)
    bits: set[int] = set()
    for cell in graph.cells:
        data = any(nets(cell.inputs.get("AD", ())))
        if data or started.intersection(nets(cell.outputs.get("Q", ()))):
            bits.update(nets((*cell.inputs.get("ALOAD", ()), *cell.inputs.get("ARST", ()))))
    return {v.name for v in graph.signals.values() if v.direction and bits.intersection(v.bits)}
