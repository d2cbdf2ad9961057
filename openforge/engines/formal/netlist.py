"""The design as one flat RTLIL module: read once with Yosys, its property cells taken out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openforge.design import Design, Reset
from openforge.engines.formal import division, starting
from openforge.errors import CheckFailedToRun, ToolError
from openforge.netlist import compare_ports
from openforge.tools import yosys
from openforge.tools.process import Limits
from openforge.tools.yosys import Reading

_LIMITS = Limits(timeout_s=300, memory_bytes=6 << 30)
# Without `keep`, Yosys merges properties that are equal.
_PREPARE = """\
write_rtlil raw.il
setattr -set keep 1 t:$check
prep -flatten -top {top}
setundef -anyseq
opt_clean
write_rtlil base.il
write_json base.json"""
_SPEAKING = {"$check", "$assert", "$assume", "$cover", "$live", "$fair"}
_CELL = re.compile(r"  cell (\S+) (\S+)$")
_SRC = re.compile(r"(?P<file>.*?):(?P<line>\d+)\.(?P<column>\d+)-")


@dataclass(frozen=True)
class Cell:
    """A property cell: the signals `condition` and `enable` in RTLIL, and where it was written.

    `trigger` is the clock and its polarity; empty for a property that holds at every time.
    `constant`: written so that it is true by itself, before anything is known of the design.
    `undefined`: of cycle 0 it says nothing before a synchronous reset has acted.
    """

    name: str
    kind: str
    file: str
    line: int
    column: int
    condition: str
    enable: str
    trigger: str
    polarity: str
    constant: bool = False
    undefined: bool = False


@dataclass(frozen=True)
class Netlist:
    """`head` + property cells + ``end`` is the model. `clock` is None without registers.

    `resets` are inputs that are active in cycle 0.
    """

    head: str
    cells: tuple[Cell, ...]
    resets: tuple[Reset, ...]
    multiclock: bool
    clock: str | None


def read(design: Design, files: Sequence[Path], work: Path) -> Netlist:
    """The flat netlist of `design` together with the property files `files`.

    Raises DesignError when Yosys cannot read it, CheckFailedToRun for what the proof
    engines cannot express.
    """
    reading = Reading(
        top=design.top,
        sources=[*(source.path for source in design.sources), *files],
        includes=design.includes,
        defines=design.defines,
        parameters=design.parameters,
    )
    commands = _PREPARE.format(top=design.top)
    project = design.project_dir
    yosys.run_on(reading, commands, cwd=work, project=project, limits=_LIMITS)
    return _parse(design, work)


def _parse(design: Design, work: Path) -> Netlist:
    try:
        text = yosys.rtlil(work / "base.il")
        tree = json.loads((work / "base.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(f"Yosys left no readable netlist: {error}") from error
    if len(tree["modules"]) != 1 or design.top not in tree["modules"]:
        raise CheckFailedToRun(
            f"expected the one flat module '{design.top}' but found {sorted(tree['modules'])}; "
            "modules without a body cannot be in a proof"
        )
    compare_ports(design, tree)
    module = tree["modules"][design.top]
    _refuse_black_boxes(module, design, work)
    head, cells = _split(text, work)
    unsaid = set(starting.undefined(module))
    cells = tuple(replace(c, undefined=c.name in unsaid) for c in _mark_constants(cells, work))
    clock, multiclock = _clocking(module)
    head = division.free(_first_cycle(head))
    return Netlist(head, cells, starting.resets(design, module), multiclock, clock)


def _refuse_black_boxes(module: dict[str, Any], design: Design, work: Path) -> None:
    for name, cell in module["cells"].items():
        if not cell["type"].startswith("$") or cell["type"] in ("$live", "$fair", "$tribuf"):
            src = cell["attributes"].get("src", "")
            place = yosys.located(src, cwd=work, project=design.project_dir)
            raise CheckFailedToRun(
                f"{f'{place}: ' if place else ''}the cell '{name}' ({cell['type']}) cannot be in a "
                "proof"
            )


def _split(text: str, work: Path) -> tuple[str, tuple[Cell, ...]]:
    """The module without its property cells and without its ``end``, and those cells."""
    kept: list[str] = []
    cells: list[Cell] = []
    attributes: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("  attribute "):
            attributes.append(line)
            continue
        found = _CELL.match(line)
        if found and found[1] in _SPEAKING:
            cells.append(_cell(found[1], found[2], attributes, lines, work))
        else:
            kept += [*attributes, line]
        attributes = []
    while kept and kept[-1] != "end":
        kept.pop()
    return "\n".join(kept[:-1]) + "\n", tuple(cells)


def _mark_constants(cells: tuple[Cell, ...], work: Path) -> tuple[Cell, ...]:
    """`cells`, those marked that were constant true before the design was optimised.

    A property that only becomes constant by optimisation is not empty: the design makes it true.
    """
    _, raw = _split(yosys.rtlil(work / "raw.il"), work)
    places: dict[tuple[str, int, int], bool] = {}
    for cell in raw:
        key = (cell.file, cell.line, cell.column)
        places[key] = places.get(key, True) and cell.condition in ("1'1", "1")
    return tuple(
        replace(cell, constant=places.get((cell.file, cell.line, cell.column), False))
        for cell in cells
    )


def _cell(kind: str, name: str, attributes: list[str], lines: Iterator[str], work: Path) -> Cell:
    values: dict[str, str] = {}
    for line in lines:
        if line == "  end":
            break
        _, key, value = line.strip().split(" ", 2)
        values[key] = value
    source = next((a for a in attributes if a.startswith("  attribute \\src ")), "")
    found = _SRC.match(source.removeprefix("  attribute \\src ").strip('"'))
    file = os.path.normpath(work / found["file"]) if found else ""
    timed = kind == "$check" and values["\\TRG_ENABLE"] not in ("0", "1'0")
    if timed and values["\\TRG_WIDTH"] != "1":
        raise CheckFailedToRun(
            f"{file}:{found['line'] if found else 0}: a property with several clock edges is not "
            "supported; give it one"
        )
    flavour = values["\\FLAVOR"].strip('"') if kind == "$check" else kind.removeprefix("$")
    return Cell(
        name=name.removeprefix("\\"),
        kind=flavour,
        file=file,
        line=int(found["line"]) if found else 0,
        column=int(found["column"]) if found else 0,
        condition=values["\\A"],
        enable=values["\\EN"],
        trigger=values["\\TRG"] if timed else "",
        polarity=values["\\TRG_POLARITY"] if timed else "",
    )


_CLOCK_PORTS = {
    "CLK": "CLK_POLARITY",
    "WR_CLK": "WR_CLK_POLARITY",
    "RD_CLK": "RD_CLK_POLARITY",
    "TRG": "TRG_POLARITY",
}


def _clocking(module: dict[str, Any]) -> tuple[str | None, bool]:
    """Name of the one clock, and whether the design needs the multi-clock model instead.

    The quick model makes one step a clock cycle. It is only right when everything has the same
    edge of one input, and nothing else looks at that input.
    """
    edges: set[tuple[Any, str]] = set()
    data: set[Any] = set()
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) == "output":
                continue
            polarity = _CLOCK_PORTS.get(port)
            if polarity is None or polarity not in cell["parameters"]:
                data.update(bits)
                continue
            edges |= set(_edges(cell, port, bits, cell["parameters"][polarity]))
    if not edges:
        return None, False
    inputs = {
        port["bits"][0]: name
        for name, port in module["ports"].items()
        if port["direction"] == "input" and len(port["bits"]) == 1
    }
    bit = next(iter(edges))[0]
    single = len(edges) == 1 and bit in inputs and bit not in data
    return inputs.get(bit), not single


def _edges(
    cell: dict[str, Any], port: str, bits: list[Any], polarity: str
) -> Iterator[tuple[Any, str]]:
    """The clock edges at one port; a memory's read port without a clock has none."""
    enabled = "1" * len(bits)
    if port != "CLK":
        name = {"WR_CLK": "WR_CLK_ENABLE", "RD_CLK": "RD_CLK_ENABLE", "TRG": "TRG_ENABLE"}[port]
        enabled = _bits(cell["parameters"][name], len(bits))
    signs = _bits(polarity, len(bits))
    for bit, sign, on in zip(bits, signs, enabled, strict=True):
        if on == "1":
            yield bit, sign


def _bits(text: str, width: int) -> str:
    """A parameter's bits, least significant first, as Yosys' JSON writes them."""
    return text[::-1].ljust(width, "0")[:width]


_INITSTATE = re.compile(
    r"^  cell \$initstate \S+\n    connect \\Y (?P<signal>.+)\n  end\n", re.MULTILINE
)


def _first_cycle(head: str) -> str:
    """`head` with a register that is 1 in the first step only, in place of every `$initstate`.

    A `$initstate` is 0 in every step of an induction, which would leave out the case that starts
    in the very first state; a register is free there, and so covers it.
    """
    head = _INITSTATE.sub(lambda m: f"  connect {m['signal']} \\of_first\n", head)
    if "$initstate" in head:
        raise CheckFailedToRun("the netlist has a form of $initstate that cannot be in a proof")
    return (
        f"{head}  attribute \\init 1'1\n  wire \\of_first\n"
        "  cell $ff \\of_first_register\n    parameter \\WIDTH 1\n"
        "    connect \\D 1'0\n    connect \\Q \\of_first\n  end\n"
    )
