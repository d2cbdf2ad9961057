"""Netlist -> gates: every operator mapped to single-bit gates, cached by content.

Nothing is restructured. What a masked design adds in which order is what makes it secure, so there
is no logic optimisation but for constants and gates that are the same: each operator of the source
becomes the gates that compute it, with its place in the source.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from openforge import netlist
from openforge.analysis import cells
from openforge.design import Design
from openforge.errors import DesignError
from openforge.settings import Settings
from openforge.tools import yosys
from openforge.tools.locate import tool

MOST_MEMORY_BITS = 1 << 17
"""A memory is made of registers and multiplexers; above this, it is refused."""

_FORMAT = "1"  # count up when the commands change their meaning
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
write_verilog -noattr -noexpr -nodec gates.v"""


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
