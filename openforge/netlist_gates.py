"""Netlist -> gates: every operator mapped to single-bit gates, cached by content.

Nothing is restructured. What a masked design adds in which order is what makes it secure, so there
is no logic optimisation but for constants and gates that are the same: each operator of the source
becomes the gates that compute it, with its place in the source.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openforge import netlist
from openforge.analysis import cells
from openforge.design import Design
from openforge.errors import DesignError
from openforge.settings import Settings
from openforge.tools import yosys
from openforge.tools.locate import tool

MOST_MEMORY_BITS = 1 << 17
"""A memory is made of registers and multiplexers; above this, it is refused."""

_FORMAT = "3"  # count up when the commands change their meaning
_COMMANDS = """\
read_json {source}
setundef -zero -undriven
memory_map
opt_expr
techmap
simplemap
opt_expr
opt_merge
opt_clean
write_json {result}
write_verilog -noattr -noexpr -siminit gates.v"""


def gates(design: Design, work: Path) -> Path:
    """The file ``gates.json`` in `work`: the flat netlist of `design` as single-bit gates.

    x and what nothing drives are 0. Beside it is ``gates.v``, the same as Verilog.

    Raises DesignError for memories that are too large, and as `netlist.netlist` does.
    """
    source = netlist.netlist(design, work)
    _refuse_large(cells.graph(json.loads(source.read_text(encoding="utf-8")), design.top))
    result = work / "gates.json"
    key = repr((_FORMAT, tool("pyosys").version(), source.read_bytes()))
    entry = Settings().cache / "gates" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    beside = entry.with_suffix(".v")
    if netlist.fetch(entry, result) and netlist.fetch(beside, result.with_suffix(".v")):
        return result
    script = _COMMANDS.format(source=source.name, result=result.name)
    yosys.run_script(script, cwd=work, log=work / "gates.log", writable=[work])
    _locate(source, result, design.top)
    with contextlib.suppress(OSError):
        netlist.store(result, entry)
        netlist.store(result.with_suffix(".v"), beside)
    return result


def graph(design: Design, work: Path) -> cells.Graph:
    """The gates of `design` as a graph of cells. Raises as `gates` does."""
    return cells.graph(json.loads(gates(design, work).read_text(encoding="utf-8")), design.top)


def _refuse_large(found: cells.Graph) -> None:
    for name, cell in found.memories.items():
        bits = cell.number("SIZE") * cell.number("WIDTH")
        if bits > MOST_MEMORY_BITS:
            raise DesignError(
                f"the memory '{name}' has {bits} bits; up to {MOST_MEMORY_BITS} can be simulated, "
                "as every bit is a net with a power of its own; make it smaller by a parameter"
            )


def _locate(source: Path, result: Path, top: str) -> None:
    """Give every gate in `result` the place of the operator in `source` that it is a part of.

    Yosys 0.70 leaves the places of its own library in the gates that it makes of an operator.
    """
    tree = json.loads(result.read_bytes())
    words = json.loads(source.read_bytes())["modules"][top]
    module = tree["modules"][top]
    known = _places(words, module)
    drivers = {}
    for cell in module["cells"].values():
        (bit,) = next(iter(_outputs(cell)), [None])
        drivers[bit] = cell
        own = [p for p in cell["attributes"].get("src", "").split("|") if not p.startswith("/")]
        cell["attributes"]["src"] = known.get(bit) or "|".join(own)
    found = [cell for cell in module["cells"].values() if cell["attributes"]["src"]]
    for cell in found:  # it grows: what only a part of an operator reads is a part of it
        for port, bits in cell["connections"].items():
            driver = drivers.get(bits[0]) if cell["port_directions"][port] == "input" else None
            if driver is not None and not driver["attributes"]["src"]:
                driver["attributes"]["src"] = cell["attributes"]["src"]
                found.append(driver)
    result.write_text(json.dumps(tree), encoding="utf-8")


def _outputs(cell: Any) -> Iterator[list[Any]]:
    return (
        bits
        for port, bits in cell["connections"].items()
        if cell.get("port_directions", {}).get(port) == "output"
    )


def _places(words: Any, module: Any) -> dict[Any, str]:
    """Where the operator is that drives a bit of the gates' module, by the names of its wires."""
    names: dict[Any, tuple[str, int]] = {}
    for name, net in words["netnames"].items():
        if name in module["netnames"]:
            for n, bit in enumerate(net["bits"]):
                names.setdefault(bit, (name, n))
    found = {}
    for cell in words["cells"].values():
        src = cell["attributes"].get("src", "")
        for bit in (bit for bits in _outputs(cell) for bit in bits if src and bit in names):
            name, position = names[bit]
            found[module["netnames"][name]["bits"][position]] = src
    return found
