"""Which tests there are: the bench files of a project, and what each of them offers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openforge.config import SimulationSection, resolve_globs
from openforge.design import Design
from openforge.engines.simulation.simulators import Simulation
from openforge.errors import OpenForgeError, ToolError
from openforge.tools import cocotb, links, process

FIELD = "verification.simulation.testbenches"
_NOT_TESTS = ("__init__.py", "conftest.py")
_LIMITS = process.Limits(timeout_s=60, memory_bytes=2 << 30, log_bytes=16 << 20, processes=64)


@dataclass(frozen=True)
class Bench:
    """A bench file; `name` is unique in the project's benches."""

    path: Path
    name: str

    @property
    def python(self) -> bool:
        """Whether it is a cocotb module (else it is a SystemVerilog bench)."""
        return self.path.suffix == ".py"


@dataclass(frozen=True)
class Planned:
    """One run of one test: `test` is None for a SystemVerilog bench, which is a test itself."""

    bench: Bench
    simulation: Simulation
    test: cocotb.TestName | None
    seed: int

    @property
    def name(self) -> str:
        """The test's name, without its module."""
        return self.test.name if self.test else self.bench.name

    def __str__(self) -> str:
        return f"{self.bench.name}.{self.name} (seed {self.seed})"


def find(params: SimulationSection, design: Design) -> tuple[Bench, ...]:
    """The benches that the project file names. Raises ConfigError or OpenForgeError."""
    files = resolve_globs(design.project_dir, params.testbenches, field=FIELD)
    files = tuple(file for file in files if file.name not in _NOT_TESTS)
    for file in files:
        if file.suffix not in (".py", ".sv", ".v"):
            raise OpenForgeError(
                f"{FIELD}: '{file.name}' is neither a cocotb module (.py) nor a bench (.sv, .v)"
            )
        if not file.stem.isidentifier():
            raise OpenForgeError(
                f"{FIELD}: '{file.name}' cannot be a module's name; use letters, digits and '_'"
            )
    stems = Counter(file.stem for file in files)
    root = design.project_dir.resolve()

    def name(file: Path) -> str:
        return file.stem if stems[file.stem] == 1 else file.relative_to(root).as_posix()

    return tuple(Bench(file, name(file)) for file in files)


def folders(bench: Bench, design: Design) -> tuple[Path, ...]:
    """Where the module of `bench` and what it imports are looked for."""
    return (bench.path.parent, design.project_dir)


def discover(
    bench: Bench, simulation: Simulation, design: Design, work: Path
) -> tuple[cocotb.TestName, ...]:
    """The cocotb tests of `bench`, listed by a simulation of its own (importing it is hostile).

    Raises ToolError when it cannot be imported, or has no tests: both would otherwise look like
    success.
    """
    work.mkdir(parents=True)
    links.show(design.project_dir, work, without=("tests.json",))
    ended = process.run(
        simulation.start,
        cwd=work,
        log=work.with_suffix(".log"),
        limits=_LIMITS,
        env=cocotb.discovery_environment(simulation.top, bench.path.stem, folders(bench, design)),
        readable=[*simulation.readable, design.project_dir],
        writable=[work],
    )
    place = bench.path.relative_to(design.project_dir.resolve())
    if ended.outcome is not process.Outcome.EXITED:
        ended.expect(f"listing the tests of {place}")
    try:
        found = cocotb.read_discovery(work / "tests.json")
    except ToolError as error:
        raise ToolError(f"{place}: {error}", ended.log) from None
    if not found:
        raise ToolError(
            f"{place}: no cocotb test found; mark tests with @cocotb.test(), or name only the "
            f"test modules in {FIELD} if this is a helper of theirs"
        )
    return found


def plan(
    params: SimulationSection,
    offers: Sequence[tuple[Bench, Simulation, Sequence[cocotb.TestName | None]]],
) -> tuple[Planned, ...]:
    """Every test with every seed, in the order of the benches; a skipped test only once."""
    runs = []
    for bench, simulation, tests in offers:
        for test in tests:
            count = 1 if test and test.skip else params.seeds
            seeds = range(params.seed, params.seed + count)
            runs += [Planned(bench, simulation, test, seed) for seed in seeds]
    return tuple(runs)
