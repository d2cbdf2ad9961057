"""Verilator's run-time library as objects in a cache: compiling it is most of a model's build.

The cache is trusted by every later build, so nothing of a user's takes part in filling it: its
inputs are files of the installed packages, compiled in a sandboxed call of its own that can write
to a fresh folder of the cache and nowhere else. Builds of models can read it only.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openforge import events
from openforge.errors import ToolError
from openforge.settings import Settings
from openforge.tools import process, verilator
from openforge.tools.locate import program, tool

COMPAT = Path(__file__).resolve().parent / "compat"
_NAMES = (
    "verilated",
    "verilated_vpi",
    "verilated_fst_c",
    "verilated_cov",
    "verilated_threads",
    "verilated_dpi",
    "verilated_timing",
    "verilated_random",
    "verilated_probdist",
)
_LIMITS = process.Limits(timeout_s=600, memory_bytes=4 << 30)


def flags(*, coverage: bool) -> list[str]:
    """The compiler flags that the run-time library and every model must share."""
    include = verilator.root() / "include"
    return [
        "-std=c++20",
        f"-I{COMPAT}",
        f"-I{include}",
        f"-I{include / 'vltstd'}",
        "-DVERILATOR=1",
        f"-DVM_COVERAGE={int(coverage)}",
        "-DVM_SC=0",
        "-DVM_TIMING=1",
        "-DVM_TRACE=1",
        "-DVM_TRACE_FST=1",
        "-DVM_TRACE_VCD=0",
        "-DVM_TRACE_SAIF=0",
        "-w",
        "-fcoroutines",
    ]


def objects(*, jobs: int, log: Path) -> tuple[Path, ...]:
    """The object files of the run-time library, built first if they are not in the cache.

    Takes about ten seconds when it builds. Raises ToolError when the compiler fails.
    """
    sources = tuple(verilator.root() / "include" / f"{name}.cpp" for name in _NAMES)
    # These files do not look at what is switched on in a model, so one set serves all.
    switches = ["-O1", *flags(coverage=True)]
    cache = Settings().cache / "verilator"
    folder = cache / _key(switches, sources)
    if not folder.is_dir():
        events.log("Building Verilator's run-time library (once)")
        _fill(folder, sources, switches, jobs=jobs, log=log)
    return tuple(folder / f"{source.stem}.o" for source in sources)


def _key(switches: Iterable[str], sources: Iterable[Path]) -> str:
    """A name for everything that the objects depend on."""
    digest = hashlib.sha256()
    parts = [tool("c++").version() or "", importlib.metadata.version("verilator"), *switches]
    parts += [f"{path.name}\n{path.read_text()}" for path in sorted(COMPAT.glob("*.h"))]
    parts += [f"{path}\n{path.read_text('utf-8', 'replace')}" for path in sources]
    digest.update("\0".join(parts).encode())
    return digest.hexdigest()[:32]


def _fill(
    folder: Path, sources: tuple[Path, ...], switches: list[str], *, jobs: int, log: Path
) -> None:
    """Compile into a folder beside `folder`, then give it its name in one step."""
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    scratch.mkdir(parents=True, mode=0o700)

    def compile_one(source: Path) -> None:
        process.run(
            [program("c++"), *switches, "-c", source, "-o", scratch / f"{source.stem}.o"],
            cwd=scratch,
            log=log.with_name(f"runtime-{source.stem}.log"),
            limits=_LIMITS,
            writable=[scratch],
        ).expect(f"the C++ compiler, on Verilator's {source.name},")

    try:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(compile_one, sources))
        missing = [s.stem for s in sources if not (scratch / f"{s.stem}.o").is_file()]
        if missing:
            raise ToolError(f"the C++ compiler left no object of {', '.join(missing)}", log)
        try:
            scratch.rename(folder)
        except OSError:  # another process was faster; its objects are as good as these
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
