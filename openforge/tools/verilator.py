"""Verilator as a simulator: the call that turns a design into C++."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openforge.errors import OpenForgeError
from openforge.model import Finding, Level, Location
from openforge.tools.locate import program

PREFIX = "Vtop"
COVERAGE_SWITCHES = {
    "line": "--coverage-line",
    "branch": "--coverage-line",
    "toggle": "--coverage-toggle",
    "user": "--coverage-user",
}
# Verilator's own limit is 256 bits, less than a state of Keccak. It is for a whole memory, too.
COVERAGE_MAX_BITS = 8192
_DIAGNOSTIC = re.compile(
    r"%(?P<level>Error|Warning)(?:-(?P<rule>[A-Z0-9_]+))?: "
    r"(?:(?P<file>[^:\n]+):(?P<line>\d+):(?:(?P<column>\d+):)? )?(?P<message>.*)"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


@dataclass(frozen=True)
class Model:
    """What is to be simulated.

    `coverage` holds kinds of coverage, as in COVERAGE_SWITCHES. `main` is the C++ file with the
    program's `main`. `options` are further words for Verilator; they win over the usual ones.
    """

    top: str
    sources: tuple[Path, ...]
    main: Path
    includes: tuple[Path, ...] = ()
    defines: Mapping[str, str] | None = None
    parameters: Mapping[str, str] | None = None
    coverage: frozenset[str] = frozenset()
    vpi: bool = True
    options: tuple[str, ...] = ()

    @property
    def switches(self) -> tuple[str, ...]:
        """The switches of Verilator for the kinds of coverage, each once."""
        return tuple(sorted({COVERAGE_SWITCHES[kind] for kind in self.coverage}))


def root() -> Path:
    """The folder that Verilator calls ``VERILATOR_ROOT``."""
    return program("verilator").parent.parent


def environment() -> dict[str, str]:
    """The environment of Verilator's programs."""
    return {"VERILATOR_ROOT": str(root())}


def argv(model: Model, out: Path) -> list[str | Path]:
    """The command that writes the C++ of `model` to the folder `out`.

    Raises OpenForgeError for a name that Verilator would read as something else.
    """
    words: list[str | Path] = [
        program("verilator"),
        "--cc",
        "--exe",
        "--prefix",
        PREFIX,
        "-Mdir",
        out,
        "--top-module",
        _checked(model.top),
        "--assert",
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--trace-fst",
        "--trace-structs",
        "--timescale",
        "1ns/1ps",
        "--quiet-stats",
        "--timing",  # without it, delays are dropped
    ]
    if model.vpi:
        words += ["--vpi", "--public-flat-rw"]
    words += model.switches
    words += ["--coverage-underscore", "--coverage-max-width", f"{COVERAGE_MAX_BITS}"]
    words += [f"-I{folder}" for folder in model.includes]
    words += [f"-D{_checked(name)}={value}" for name, value in (model.defines or {}).items()]
    words += [f"-G{_checked(name)}={value}" for name, value in (model.parameters or {}).items()]
    return [*words, *model.options, model.main, *model.sources]


def errors(output: Sequence[str], project: Path) -> tuple[Finding, ...]:
    """The errors in Verilator's output as findings, with places relative to `project`."""
    return tuple(
        Finding(
            rule=found["rule"] or "verilator",
            level=Level.ERROR,
            message=found["message"],
            location=place(found["file"], found["line"], found["column"], project),
            tool="verilator",
        )
        for found in map(_DIAGNOSTIC.match, output)
        if found and found["level"] == "Error" and not found["message"].startswith("Exiting due to")
    )


def place(file: str | None, line: str | None, column: str | None, project: Path) -> Location | None:
    """A place as Verilator writes it, relative to `project` where it is inside."""
    if not file:
        return None
    path = Path(file)
    name = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
    return Location(file=name, line=int(line) if line else None, column=int(column or 0) or None)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise OpenForgeError(f"'{name}' is no Verilog name; use letters, digits, '_' and '$'")
    return name
