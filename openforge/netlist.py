"""Design -> netlist: what Yosys makes of it, as Yosys' JSON, cached by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from openforge import design_files
from openforge.analysis import cells, defaults
from openforge.design import Design
from openforge.errors import DesignError
from openforge.settings import Settings
from openforge.tools import yosys
from openforge.tools.locate import tool
from openforge.tools.yosys import Reading

_FORMAT = "3"  # count up when the commands change their meaning
_COMMANDS = """\
proc
{flatten}
opt_clean
opt_merge -keepdc
opt_muxtree
memory_collect
opt_clean
write_json {result}"""


def netlist(design: Design, work: Path, *, flatten: bool = True) -> Path:
    """The file ``netlist.json`` in `work`: `design`'s RTL as cells, registers and memories.

    Processes are lowered, memories stay whole (``$mem_v2`` cells), and wires and cells keep
    ``src`` attributes, relative to the project (see `openforge.tools.yosys.located`). One module
    if `flatten`, else one a module of the hierarchy.

    Raises DesignError for a design that does not elaborate or that Yosys cannot read,
    ToolTimeout.
    """
    design.require_elaborated()
    result = work / ("netlist.json" if flatten else "netlist_hierarchy.json")
    entry = Settings().cache / "netlists" / f"{_digest(design, flatten)}.json"
    if not fetch(entry, result):
        _make(design, work, result, flatten)
        store(result, entry)
    return result


def graph(design: Design, work: Path) -> cells.Graph:
    """The flat netlist of `design` as a graph of cells. Raises as `netlist` does."""
    tree = json.loads(netlist(design, work).read_text(encoding="utf-8"))
    return defaults.without_dead(cells.graph(tree, design.top))


def _digest(design: Design, flatten: bool) -> str:
    parts = (
        _FORMAT,
        tool("pyosys").version(),
        design.content_hash,
        design_files.digest_of_all(design.project_dir),  # Yosys loads memories from any file
        str(design.project_dir),
        flatten,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _make(design: Design, work: Path, result: Path, flatten: bool) -> None:
    reading = Reading(
        top=design.top,
        sources=[source.path for source in design.sources],
        includes=design.includes,
        defines=design.defines,
        parameters=design.parameters,
        keep_hierarchy=not flatten,
    )
    commands = _COMMANDS.format(flatten="flatten" if flatten else "", result=result.name)
    yosys.run_on(reading, commands, cwd=work, project=design.project_dir)
    text = yosys.relative_json(result.read_bytes(), cwd=work, project=design.project_dir)
    result.write_bytes(text)
    compare_ports(design, json.loads(text))


def compare_ports(design: Design, netlist: Any) -> None:
    """Refuse a netlist of another design: Yosys 0.70 may leave parameters at their defaults."""
    top = netlist["modules"].get(design.top, {"ports": {}})
    found = {name: len(port["bits"]) for name, port in top["ports"].items()}
    wanted = {port.name: port.width for port in design.ports}
    if found != wanted:
        odd = sorted(set(found.items()) ^ set(wanted.items()))
        raise DesignError(
            f"Yosys made a netlist whose ports are not those of '{design.top}': "
            f"{', '.join(name for name, _ in odd[:5])}"
        )


def fetch(entry: Path, result: Path) -> bool:
    """Whether `entry` of a cache was there, whole, and is now copied to `result`."""
    try:
        shutil.copyfile(entry, result)
        return _sum(result) == entry.with_name(f"{entry.name}.sha256").read_text("ascii")
    except (OSError, ValueError):
        return False


def store(result: Path, entry: Path) -> None:
    """Keep `result` in a cache; one that cannot be written is no error."""
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        _replace(entry, result.read_bytes())
        _replace(entry.with_name(f"{entry.name}.sha256"), _sum(result).encode())


def _replace(path: Path, data: bytes) -> None:
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(part).replace(path)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
