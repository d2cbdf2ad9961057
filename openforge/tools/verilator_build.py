"""From a design to a program that simulates it: Verilator, the C++ compiler, a link. No make."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openforge import events
from openforge.errors import DesignError, ToolError
from openforge.tools import process, verilator, verilator_runtime
from openforge.tools.locate import program

_LIMITS = process.Limits(timeout_s=900, memory_bytes=8 << 30)
_UNITY_BYTES = 400_000  # above it, files are compiled one by one: they then use more than one core


def build(
    model: verilator.Model, out: Path, *, project: Path, jobs: int, link: Iterable[str | Path] = ()
) -> Path:
    """The executable of `model`, built in the new folder `out`.

    `project` is what Verilator may read; `link` are further words for the linker.
    Raises DesignError with Verilator's first errors when it rejects the design, ToolError when a
    tool fails in another way.
    """
    out.mkdir(parents=True)
    _verilate(model, out, project)
    sources = _generated(out)
    runtime = verilator_runtime.runtime(jobs=jobs, log=out.parent / "runtime.log")
    common: list[str | Path] = [*verilator_runtime.flags(), "-include", runtime.header]

    def compile_one(unit: tuple[Path, str]) -> Path:
        source, level = unit
        target = out / f"{source.stem}.o"
        process.run(
            [program("c++"), level, *common, f"-I{out}", "-c", source, "-o", target],
            cwd=out,
            log=out.parent / f"{out.name}-{source.stem}.log",
            limits=_LIMITS,
            readable=[runtime.header.parent],
            writable=[out],
        ).expect(f"the C++ compiler, on the model's {source.name},")
        return target

    units = [
        *((unit, "-O1") for unit in _units(out, "fast", [*sources["fast"], model.main])),
        *((unit, "-O0") for unit in _units(out, "slow", sources["slow"])),
    ]
    with ThreadPoolExecutor(jobs) as pool:
        compiled = list(pool.map(compile_one, units))
    executable = out / "simulation"
    process.run(
        [program("c++"), "-o", executable, *compiled, *runtime.objects, *link, "-lpthread"],
        cwd=out,
        log=out.parent / f"{out.name}-link.log",
        limits=_LIMITS,
        readable=[runtime.header.parent],
        writable=[out],
    ).expect("the linker of the model")
    return executable


def _verilate(model: verilator.Model, out: Path, project: Path) -> None:
    log = out.parent / f"{out.name}-verilator.log"
    lines: list[str] = []
    ended = process.run(
        verilator.argv(model, out),
        cwd=out,
        log=log,
        limits=_LIMITS,
        readable=[project],
        env=verilator.environment(),
        writable=[out],
        on_line=lines.append,
    )
    if ended.outcome is process.Outcome.EXITED and ended.returncode == 1:
        found = verilator.errors(lines, project)
        if found:
            for finding in found:
                events.log(f"{finding.location or model.top}: {finding.message}", "ERROR")
            first = "\n".join(f"{f.location or model.top}: {f.message}" for f in found[:5])
            raise DesignError(f"Verilator cannot build '{model.top}':\n{first}\n(log: {log})")
    ended.expect("Verilator")


def _generated(out: Path) -> dict[str, list[Path]]:
    """The C++ files that Verilator wrote to `out`: "fast" is what runs every cycle.

    Found by their names: Verilator 5.48's list in ``Vtop.json`` is no valid JSON where a path has
    letters beyond ASCII.
    """
    files = sorted(out.glob(f"{verilator.PREFIX}*.cpp"))
    if not files:
        raise ToolError(f"Verilator wrote no C++ (log: {out.name}-verilator.log)")
    slow = [file for file in files if file.stem.endswith("__Slow")]
    return {"slow": slow, "fast": [file for file in files if file not in slow]}


def _units(out: Path, name: str, files: list[Path]) -> list[Path]:
    """The translation units of `files`: one of all that are small together."""
    if sum(file.stat().st_size for file in files) > _UNITY_BYTES:
        return files
    unit = out / f"all_{name}.cpp"
    unit.write_text("".join(f'#include "{file}"\n' for file in files), encoding="utf-8")
    return [unit]
