"""Assumptions of an interface as a part of the netlist: Verilog that Yosys has read, as the rest.

``stable(x)`` compares with a register that keeps what x was; ``public(x)`` says that x is equal in
both copies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from openforge.analysis import cells
from openforge.analysis.cells import Bit, Cell, Graph, Vector
from openforge.analysis.constraints import ContradictionError
from openforge.errors import DesignError
from openforge.interface import Interface
from openforge.tools import yosys
from openforge.tools.yosys import Reading

_TOP = "openforge_assumptions"
_FIRST = "openforge_first"
_PAST = "openforge_past_"
_STABLE = re.compile(r"\bstable\s*\(\s*([A-Za-z_][\w$]*(?:\s*\[\s*\d+\s*(?::\s*\d+\s*)?\])?)\s*\)")
_PUBLIC = re.compile(r"\s*public\s*\(([^()]*)\)\s*")
_NAME = re.compile(r"(?<![\w'])[A-Za-z_][\w$]*")
_COMMANDS = "proc\nflatten\nopt_clean\nwrite_json assumptions.json"


@dataclass(frozen=True)
class Assumed:
    """`graph` with the assumptions in it, and the nets that are 1 where they hold."""

    graph: Graph
    nets: tuple[int, ...]


def publics(interface: Interface) -> Iterator[str]:
    """The signals that assumptions of the form ``public(x)`` say are equal in both copies."""
    for text in interface.assume:
        found = _PUBLIC.fullmatch(text)
        if found:
            yield found[1].strip()


def add(graph: Graph, interface: Interface, signed: Set[str], work: Path) -> Assumed:
    """Put the assumptions of `interface` into `graph`; `signed` names the inputs that are.

    Raises DesignError for an expression that Verilog does not allow, ContradictionError for one
    that is never true.
    """
    texts = [text for text in interface.assume if not _PUBLIC.fullmatch(text)]
    if not texts:
        return Assumed(graph, ())
    kept: list[str] = []

    def compared(found: re.Match[str]) -> str:
        kept.append(re.sub(r"\s", "", found[1]))
        return f"({_FIRST} || ({found[1]}) == {_PAST}{len(kept) - 1})"

    expressions = [_STABLE.sub(compared, text) for text in texts]
    names = {name for text in expressions for name in _NAME.findall(text)}
    ports = [vector for vector in graph.inputs if vector.name in names]
    folder = work / "assumptions"
    folder.mkdir()
    source = folder / "assumptions.sv"
    widths = [len(_selected(graph, text)) for text in kept]
    source.write_text(_module(expressions, ports, signed, widths), encoding="utf-8")
    reading = Reading(top=_TOP, sources=[source])
    try:
        yosys.run_on(reading, _COMMANDS, cwd=folder, project=folder)
    except DesignError as error:
        shown = "; ".join(texts)
        raise DesignError(f"interface.assume ({shown[:200]}) is no Verilog: {error}") from error
    tree = json.loads((folder / "assumptions.json").read_text(encoding="utf-8"))
    return _join(graph, cells.graph(tree, _TOP), [_selected(graph, text) for text in kept])


def _module(
    expressions: Sequence[str],
    ports: Sequence[Vector],
    signed: Set[str],
    widths: Sequence[int],
) -> str:
    """Verilog with the inputs declared as the design does, so that operators mean the same.

    What is compared to see whether something is stable is compared bit by bit, signed or not.
    """
    declared = [
        f"input {'signed ' if vector.name in signed else ''}{_range(vector)}{vector.name}"
        for vector in ports
    ]
    declared += [f"input {_FIRST}"]
    declared += [f"input [{width - 1}:0] {_PAST}{n}" for n, width in enumerate(widths)]
    declared += [f"output ok_{n}" for n in range(len(expressions))]
    assigned = [f"  assign ok_{n} = |({text});" for n, text in enumerate(expressions)]
    return "\n".join([f"module {_TOP}({', '.join(declared)});", *assigned, "endmodule", ""])


def _range(vector: Vector) -> str:
    low, high = vector.offset, vector.offset + len(vector.bits) - 1
    if low == high == 0:
        return ""
    return f"[{low}:{high}] " if vector.upto else f"[{high}:{low}] "


def _selected(graph: Graph, text: str) -> tuple[Bit, ...]:
    """The bits of an input, or of a range of one. Raises DesignError."""
    name, _, rest = text.partition("[")
    vector = graph.signals.get(name)
    if vector is None or vector.direction != "input":
        raise DesignError(f"interface.assume: stable({text}) needs an input")
    if not rest:
        return vector.bits
    ends = [vector.position(int(number)) for number in rest.rstrip("]").split(":")]
    places = [place for place in ends if place is not None]
    if len(places) != len(ends):
        raise DesignError(f"interface.assume: {text} is outside of {name}")
    return vector.bits[min(places) : max(places) + 1]


def _join(graph: Graph, small: Graph, kept: Sequence[tuple[Bit, ...]]) -> Assumed:
    """Both graphs as one: inputs of `small` are the nets of `graph`, its other nets get numbers."""
    names: dict[int, Bit] = {}
    first = graph.highest + 1
    registers = [_register("$assumed_first", ("0",), (first,))]
    initial = {first: "1"}
    number = first + 1
    for vector in small.inputs:
        if vector.name == _FIRST:
            bits: tuple[Bit, ...] = (first,)
        elif vector.name.startswith(_PAST):
            data = kept[int(vector.name.removeprefix(_PAST))]
            bits = tuple(range(number, number + len(data)))
            number += len(data)
            registers.append(_register(f"$assumed_{vector.name}", data, bits))
        else:
            bits = graph.signals[vector.name].bits
        names |= {
            net: bit for net, bit in zip(vector.bits, bits, strict=True) if isinstance(net, int)
        }
    shift = number

    def renamed(bits: Sequence[Bit]) -> tuple[Bit, ...]:
        return tuple(names.get(b, b + shift) if isinstance(b, int) else b for b in bits)

    moved = [
        replace(
            cell,
            name=f"$assumed {cell.name}",
            inputs={port: renamed(bits) for port, bits in cell.inputs.items()},
            outputs={port: renamed(bits) for port, bits in cell.outputs.items()},
        )
        for cell in small.cells
    ]
    wanted = [renamed(vector.bits)[0] for vector in small.outputs]
    joined = replace(
        graph,
        cells=(*graph.cells, *registers, *moved),
        initial={**graph.initial, **initial},
    )
    return Assumed(joined, _as_nets(wanted))


def _register(name: str, data: Sequence[Bit], out: Sequence[Bit]) -> Cell:
    return Cell(name, "$dff", {"WIDTH": f"{len(out):b}"}, {"D": tuple(data)}, {"Q": tuple(out)})


def _as_nets(wanted: Sequence[Bit]) -> tuple[int, ...]:
    """The nets to be assumed: a constant 1 needs no net, and a constant 0 can never hold."""
    if any(bit in ("0", "x", "z") for bit in wanted):
        raise ContradictionError("an assumption is false for all inputs")
    return tuple(bit for bit in wanted if isinstance(bit, int))
