"""The simulators behind one face: a built simulation, and the words that start it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openforge import events
from openforge.config import SimulationSection
from openforge.design import Design, PropertyKind
from openforge.errors import DesignError, OpenForgeError
from openforge.tools import (
    cocotb,
    icarus,
    process,
    verilator,
    verilator_build,
    verilator_runtime,
)

_LIMITS = process.Limits(timeout_s=300, memory_bytes=4 << 30)


@dataclass(frozen=True)
class Simulation:
    """A program that simulates. `start` and `trace` are words of its command line.

    `coverage` says whether a run leaves ``coverage.dat``; `unfinished` is a text in the output of
    every run that ended without ``$finish``, "" where the exit code says so. `names_finish` says
    whether the output names the place of the ``$finish`` that ended a run.
    """

    top: str
    start: tuple[str | Path, ...]
    trace: tuple[str, ...]
    readable: tuple[Path, ...]
    coverage: bool
    unfinished: str = ""
    names_finish: bool = False


def kinds(params: SimulationSection) -> frozenset[str]:
    """The kinds of coverage that are to be measured by Verilator itself; Icarus has none."""
    wanted = (kind for kind in verilator.COVERAGE_SWITCHES if getattr(params.coverage, kind))
    return frozenset(wanted if params.tool == "verilator" else ())


def for_python(params: SimulationSection, design: Design, work: Path, jobs: int) -> Simulation:
    """The simulation of the design alone, driven by cocotb."""
    if params.tool == "icarus":
        return _icarus(design, work / "icarus", design.top, None)
    model = verilator.Model(
        top=design.top,
        main=cocotb.verilator_main(),
        sources=_sources(design),
        includes=design.includes,
        defines=design.defines,
        parameters=design.parameters,
        coverage=kinds(params),
    )
    executable = verilator_build.build(
        model, work / "model", project=design.project_dir, jobs=jobs, link=cocotb.link_words()
    )
    return _verilated(model, executable, design)


def for_bench(
    params: SimulationSection, design: Design, bench: Path, out: Path, jobs: int
) -> Simulation:
    """The simulation of a SystemVerilog bench; its top module is named as its file."""
    if params.tool == "icarus":
        return _icarus(design, out, bench.stem, bench)
    model = verilator.Model(
        top=bench.stem,
        main=verilator_runtime.COMPAT / "bench_main.cpp",
        sources=(*_sources(design), bench),
        includes=design.includes,
        defines=design.defines,
        coverage=kinds(params),
        vpi=False,
    )
    executable = verilator_build.build(model, out, project=design.project_dir, jobs=jobs)
    return _verilated(model, executable, design)


def _sources(design: Design) -> tuple[Path, ...]:
    return tuple(source.path for source in design.sources)


def _verilated(model: verilator.Model, executable: Path, design: Design) -> Simulation:
    words = ["+verilator+coverage+file+coverage.dat"] if model.coverage else []
    # Cover properties count in each instance; the file is that much longer, so only if there are.
    covers = any(found.kind is PropertyKind.COVER for found in design.properties)
    if "user" in model.coverage and covers:
        words.append("--coverage-per-instance")
    return Simulation(
        top=model.top,
        start=(executable, *words),
        trace=("--trace",),
        readable=(executable.parent,),
        coverage=bool(model.coverage),
        names_finish=True,
    )


def _icarus(design: Design, out: Path, top: str, bench: Path | None) -> Simulation:
    out.mkdir(parents=True)
    dumper, options, compiled = out / "dump.sv", out / "options", out / "simulation.vvp"
    options.write_text(icarus.OPTIONS, encoding="utf-8")
    dumper.write_text(icarus.dumper_source(top), encoding="utf-8")
    model = verilator.Model(
        top=top,
        main=dumper,
        parameters=design.parameters if bench is None else None,
        sources=(*_sources(design), *([bench] if bench else [])),
        includes=design.includes,
        defines=design.defines,
    )
    lines: list[str] = []
    ended = process.run(
        icarus.build_argv(model, compiled, dumper, options),
        cwd=out,
        log=out.parent / f"{out.name}.log",
        limits=_LIMITS,
        readable=[design.project_dir],
        writable=[out],
        on_line=lines.append,
    )
    ignored = [line for line in lines if icarus.IGNORED_PARAMETER in line]
    if ignored:
        raise DesignError(
            "design.parameters: Icarus Verilog takes literals only, such as 12 or 4'hC: "
            f"{ignored[0]} (log: {ended.log})"
        )
    if ended.outcome is process.Outcome.EXITED and ended.returncode != 0:
        found = icarus.errors(lines, design.project_dir)
        first = "\n".join(f"{f.location or top}: {f.message}" for f in found[:5])
        events.log(first, "ERROR")
        raise DesignError(
            f"Icarus Verilog cannot build '{top}' (it knows less SystemVerilog than Verilator; set "
            f"verification.simulation.tool to verilator):\n{first}\n(log: {ended.log})"
        )
    if not ended.expect("Icarus Verilog").ok or not compiled.is_file():
        raise OpenForgeError(f"Icarus Verilog left no simulation (log: {ended.log})")
    if bench:
        _refuse_finish(design, compiled)
    return Simulation(
        top=top,
        start=tuple(icarus.run_argv(compiled, python_tests=bench is None)),
        trace=(f"+{icarus.DUMPER}",),
        readable=(out,),
        coverage=False,
        unfinished="" if bench is None else icarus.UNFINISHED,
    )


def _refuse_finish(design: Design, compiled: Path) -> None:
    """Raises DesignError when the design could end a bench before the bench has checked it."""
    text = compiled.read_text("utf-8", "replace")
    for place in icarus.finishes(text, _sources(design)):
        name = Path(place.file).relative_to(design.project_dir).as_posix()
        raise DesignError(
            f"{name}:{place.line}: a $finish in the design could end a bench before its checks, "
            "and Icarus Verilog does not tell; use $fatal there, or set "
            "verification.simulation.tool to verilator"
        )
