"""Icarus Verilog, the second simulator: a program of the host. It measures no coverage."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from openforge.errors import ToolMissing
from openforge.model import Finding, Level, Location
from openforge.tools import cocotb, verilator
from openforge.tools.locate import program

OPTIONS = "+timescale+1ns/1ps\n"  # of a module that has none; without it, Icarus takes 1 s
DUMPER = "openforge_dump"
WATCHER = "openforge_watch"
UNFINISHED = "openforge: no event is left"
# Icarus 11 then goes on with the value in the source, and ends with 0.
IGNORED_PARAMETER = "specified for defparam"
_END_OF_TIME_NS = (1 << 62) // 1000
_DIAGNOSTIC = re.compile(r"(?P<file>[^:\n]+):(?P<line>\d+): (?P<message>.*)")


def build_argv(model: verilator.Model, out: Path, dumper: Path, options: Path) -> list[str | Path]:
    """The command that compiles `model` to the file `out`.

    `dumper` and `options` are the files with DUMPER and OPTIONS.
    """
    words: list[str | Path] = [
        program("icarus"),
        "-g2012",
        "-c",
        options,
        "-o",
        out,
        "-s",
        model.top,
        "-s",
        DUMPER,
    ]
    words += [f"-I{folder}" for folder in model.includes]
    words += [f"-D{name}={value}" for name, value in (model.defines or {}).items()]
    words += [f"-P{model.top}.{name}={value}" for name, value in (model.parameters or {}).items()]
    return [*words, *model.sources, dumper]


def dumper_source(top: str) -> str:
    """A module that serves `top`, when told to by the plusargs DUMPER and WATCHER.

    It writes the waveform to ``dump.fst``; and it waits for the end of time, which comes only when
    the bench has nothing left to do, and then says so.
    """
    return (
        f"`timescale 1ns/1ps\nmodule {DUMPER};\n"
        f'initial if ($test$plusargs("{DUMPER}")) begin\n'
        f'$dumpfile("dump.fst"); $dumpvars(0, {top});\nend\n'
        f'initial if ($test$plusargs("{WATCHER}")) begin\n'
        f'#{_END_OF_TIME_NS} $display("{UNFINISHED}"); $finish;\nend\nendmodule\n'
    )


def finishes(simulation: str, files: Collection[Path]) -> tuple[Location, ...]:
    """The calls of ``$finish`` in those of the source `files`; `simulation` is the compiled text.

    Icarus 11 does not say which ``$finish`` ended a simulation.
    """
    code, _, table = simulation.partition("\n:file_names ")
    names = re.findall(r'^ +"(.*)";$', table, re.MULTILINE)
    calls = re.findall(r'^ +%vpi_call(?:/w)? (\d+) (\d+) "\$finish"', code, re.MULTILINE)
    places = [(Path(names[int(number)]), int(line)) for number, line in calls]
    return tuple(Location(file=str(f), line=line) for f, line in places if f in files)


def run_argv(simulation: Path, *, python_tests: bool) -> list[str | Path]:
    """The command that runs a compiled simulation; plusargs come after it."""
    runner = program("icarus").with_name("vvp")
    if not runner.exists():
        raise ToolMissing("'vvp' is not beside iverilog; get it with: apt-get install iverilog")
    if python_tests:
        return [runner, "-N", "-m", cocotb.icarus_module(), simulation, "-fst"]
    return [runner, "-N", simulation, "-fst", f"+{WATCHER}"]


def errors(output: Sequence[str], project: Path) -> tuple[Finding, ...]:
    """The compiler's complaints as findings, with places relative to `project`."""
    return tuple(
        Finding(
            rule="icarus",
            level=Level.ERROR,
            message=found["message"],
            tool="icarus",
            location=verilator.place(found["file"], found["line"], None, project),
        )
        for found in map(_DIAGNOSTIC.match, output)
        if found and "warning:" not in found["message"]
    )
