"""Verilator's run-time library, compiled, in a cache: else it would be most of a model's build.

The cache is trusted by every later build, so nothing of a user's takes part in filling it: its
inputs are files of the installed packages, compiled in a sandboxed call of its own that can write
to a fresh folder of the cache and nowhere else. Builds of models can read it only.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

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
LEVELS = ("-O0", "-O1")
_HEADER = "model.h"
_INCLUDES = "".join(
    f'#include "{name}.h"\n'
    for name in (
        "verilated",
        "verilated_cov",
        "verilated_fst_c",
        "verilated_timing",
        "verilated_vpi",
    )
)
_LIMITS = process.Limits(timeout_s=600, memory_bytes=4 << 30)


@dataclass(frozen=True)
class Runtime:
    """The object files, and the header that every file of a model is compiled with.

    The header is compiled, too, for each level of optimisation in `LEVELS`: parsing it takes longer
    than most models.
    """

    objects: tuple[Path, ...]
    header: Path


def flags() -> list[str]:
    """The compiler flags that the run-time library and every model must share."""
    include = verilator.root() / "include"
    return [
        "-std=c++20",
        f"-I{COMPAT}",
        f"-I{include}",
        f"-I{include / 'vltstd'}",
        "-DVERILATOR=1",
        "-DVM_COVERAGE=1",
        "-DVM_SC=0",
        "-DVM_TIMING=1",
        "-DVM_TRACE=1",
        "-DVM_TRACE_FST=1",
        "-DVM_TRACE_VCD=0",
        "-DVM_TRACE_SAIF=0",
        "-w",
        "-fcoroutines",
    ]


def runtime(*, jobs: int, log: Path) -> Runtime:
    """The compiled run-time library, built first if it is not in the cache.

    Takes about twenty seconds when it builds. Raises ToolError when the compiler fails.
    """
    sources = tuple(verilator.root() / "include" / f"{name}.cpp" for name in _NAMES)
    switches = flags()
    cache = Settings().cache / "verilator"
    folder = cache / _key(switches, sources)
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "lock"):  # whoever comes second waits: it would take longer to build
            if not folder.is_dir():
                events.log("Building Verilator's run-time library (once)")
                _fill(folder, sources, switches, jobs=jobs, log=log)
    objects = tuple(folder / f"{source.stem}.o" for source in sources)
    return Runtime(objects, folder / _HEADER)


def _key(switches: Iterable[str], sources: Iterable[Path]) -> str:
    """A name for everything that the objects depend on."""
    digest = hashlib.sha256()
    parts = [tool("c++").version() or "", importlib.metadata.version("verilator"), *switches]
    parts += [_INCLUDES, *LEVELS]
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

    def compile_one(words: Sequence[str | Path], target: Path) -> None:
        process.run(
            [program("c++"), *switches, *words, "-o", target],
            cwd=scratch,
            log=log.with_name(f"runtime-{target.stem}.log"),
            limits=_LIMITS,
            writable=[scratch],
        ).expect(f"the C++ compiler, on Verilator's {target.stem},")

    header = scratch / _HEADER
    header.write_text(_INCLUDES, encoding="utf-8")
    compiled = scratch / f"{_HEADER}.gch"  # g++ takes the file in it that fits its switches
    compiled.mkdir()
    work = [([level, "-x", "c++-header", header], compiled / f"header{level}") for level in LEVELS]
    work += [(["-O1", "-c", source], scratch / f"{source.stem}.o") for source in sources]
    try:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda words_and_target: compile_one(*words_and_target), work))
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
