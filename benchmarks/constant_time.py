"""How long the check constant_time takes, and what it says; plain SymbiYosys beside it.

    python benchmarks/constant_time.py [--cores DIR] [--write]

DIR holds checkouts of the public cores, as `aes/`, `sha256/` and `modexp/` (by secworks); they are
not part of this project. Each row is the engine without the notebook around it: with elaboration
and netlist anew (`cold`), and from the cache (`warm`). The last table asks the same question of
plain k-induction: two instances, an assertion for each observable, SymbiYosys with z3.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path(__file__).with_suffix(".md")
LIMIT_S = 20.0
EXAMPLES = (
    "aes",
    "butterfly",
    "butterfly-broken",
    "comparator",
    "comparator-broken",
    "divider",
    "divider-broken",
    "handshake",
    "keccak-round",
    "modexp",
    "modexp-broken",
    "ntt-butterfly",
    "table-lookup",
    "table-lookup-broken",
)
COMPARED = ("comparator", "divider", "modexp", "aes")
_MONTPROD = ("montprod", "adder32", "blockmem1r1w", "shl32", "shr32")
_MEMORIES = ("blockmem2r1w", "blockmem2r1wptr", "blockmem2rptr1w")
_MODEXP = (*_MONTPROD, *_MEMORIES, "modexp_core", "residue")


@dataclass(frozen=True)
class Core:
    """A public core: where its files are, and what is asked of it."""

    name: str
    folder: str
    top: str
    files: tuple[str, ...]
    interface: dict[str, Any]


CORES = (
    Core(
        "secworks aes_core: key, block",
        "aes",
        "aes_core",
        tuple(
            f"aes_{part}"
            for part in ("core", "decipher_block", "encipher_block", "inv_sbox", "key_mem", "sbox")
        ),
        {"secrets": ["key", "block"], "observables": ["ready", "result_valid"]},
    ),
    Core(
        "secworks sha256_core: block",
        "sha256",
        "sha256_core",
        ("sha256_core", "sha256_k_constants", "sha256_w_mem"),
        {"secrets": ["block"], "observables": ["ready", "digest_valid"]},
    ),
    Core(
        "secworks montprod: operands",
        "modexp",
        "montprod",
        _MONTPROD,
        {"secrets": ["opa_data", "opb_data"], "observables": ["ready"]},
    ),
    Core(
        "secworks residue: operand",
        "modexp",
        "residue",
        ("residue", "adder32", "shl32", "shr32"),
        {"secrets": ["opa_rd_data"], "observables": ["ready"]},
    ),
    Core(
        "secworks modexp_core: message",
        "modexp",
        "modexp_core",
        _MODEXP,
        {"secrets": ["message_mem_api_write_data"], "observables": ["ready"]},
    ),
    Core(
        "secworks modexp_core: exponent",
        "modexp",
        "modexp_core",
        _MODEXP,
        {"secrets": ["exponent_mem_api_write_data"], "observables": ["ready"]},
    ),
)


@dataclass(frozen=True)
class Row:
    """One check: what it said, and what it took."""

    name: str
    verdict: str
    by: str
    cells: int
    cold_s: float
    warm_s: float
    memory_mb: int


def main() -> int:
    """Measure, print, and with --write keep the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=Path, help="folder with checkouts of the public cores")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        page = _page(words.cores, words.only, Path(scratch))
    print(page)
    if words.write:
        PAGE.write_text(page, encoding="utf-8")
    return 0


def _page(cores: Path | None, only: str, scratch: Path) -> str:
    projects = [(name, ROOT / "examples" / name) for name in EXAMPLES]
    projects += [(core.name, _project(core, cores, scratch)) for core in CORES if cores]
    rows = []
    for name, project in projects:
        if only in name:
            rows.append(_alone(measure, name, project))
            print(rows[-1], flush=True)
    lines = [
        "# Constant time: measured",
        "",
        f"{os.cpu_count()} cores, Python {platform.python_version()}; one run of "
        f"`python benchmarks/constant_time.py`; limit {LIMIT_S:g} s. Wall time in seconds; memory "
        "is the largest process. Leaks include the replay on Verilator, which has to be compiled.",
        "",
        "| design | cells | verdict | by | cold | warm | MB |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {r.name} | {r.cells} | {r.verdict} | {r.by} | {r.cold_s:.1f} | {r.warm_s:.1f} | "
            f"{r.memory_mb} |"
            for r in rows
        ),
        "",
        "## Beside plain k-induction",
        "",
        "Two instances of the design, one assertion an observable, `smtbmc z3`, `prove`, depth 24, "
        f"limit {3 * LIMIT_S:g} s; the same wall clock.",
        "",
        "| design | here | k-induction | it says |",
        "|---|---|---|---|",
    ]
    warm = {row.name: row.warm_s for row in rows}
    for name in COMPARED:
        if name in warm:
            seconds, said = _alone(induct, name, scratch)
            ratio = f"{seconds / warm[name]:.0f}x" if said == "passed" else "fails"
            lines.append(f"| {name} | {warm[name]:.1f} s | {seconds:.1f} s ({ratio}) | {said} |")
            print(lines[-1], flush=True)
    return "\n".join([*lines, ""])


def _alone(work: Any, *words: Any) -> Any:
    """The answer of `work` in a process of its own, so that its memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, words)


def measure(name: str, project: Path) -> Row:
    """Run the check twice, the first time with an empty cache."""
    from openforge import config, design
    from openforge.engines import constant_time
    from openforge.run_folder import RunFolder
    from openforge.settings import Settings

    times = []
    for number in range(2):
        if number == 0:
            for cache in ("netlists", "elaboration", "slang"):
                shutil.rmtree(Settings().cache / cache, ignore_errors=True)
        with tempfile.TemporaryDirectory() as work:
            began = time.perf_counter()
            settings = config.load(project, {})
            folder = RunFolder.create(Path(work) / "constant_time.tmp")
            params = settings.verification.crypto_verification.constant_time
            limited = params.model_copy(update={"timeout_seconds": LIMIT_S})
            result = constant_time.run(limited, design.load(project, settings), folder)
            times.append(time.perf_counter() - began)
    used = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cells = next(int(m.value) for m in result.metrics if m.name == "cells")
    by = result.bounds[0].rpartition("; ")[2].removeprefix("proved by ")
    assert result.verdict is not None
    return Row(name, result.verdict.value, by, cells, times[0], times[1], used >> 10)


def induct(name: str, scratch: Path) -> tuple[float, str]:
    """What k-induction says of two instances of an example, and how long it takes."""
    from openforge import config, design
    from openforge.engines import formal
    from openforge.errors import OpenForgeError
    from openforge.run_folder import RunFolder

    project = scratch / f"twice-{name}"
    shutil.copytree(ROOT / "examples" / name, project)
    settings = config.load(project, {})
    (project / "twice.sv").write_text(_twice(design.load(project, settings)), encoding="utf-8")
    data = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["project"]["top_module"] = "twice"
    data["design"]["sources"].append("twice.sv")
    data["verification"] = {
        "formal": {
            "engines": ["smtbmc z3"],
            "mode": "prove",
            "depth": 24,
            "timeout_seconds": 3 * LIMIT_S,
        }
    }
    (project / "openforge.yaml").write_text(json.dumps(data), encoding="utf-8")
    settings = config.load(project, {})
    with tempfile.TemporaryDirectory() as work:
        folder = RunFolder.create(Path(work) / "formal.tmp")
        began = time.perf_counter()
        try:
            loaded = design.load(project, settings)
            result = formal.run(settings.verification.formal, loaded, folder)
            said = result.verdict.value if result.verdict else result.state.value
        except OpenForgeError as error:
            said = f"error: {str(error).splitlines()[0][:60]}"
        return time.perf_counter() - began, said


def _twice(loaded: Any) -> str:
    """A module with two instances that share all inputs but the secrets."""
    interface = loaded.config.verification.crypto_verification.interface
    inputs = [port for port in loaded.ports if port.direction.value == "input"]
    outputs = [port for port in loaded.ports if port.direction.value == "output"]
    ports, first, second, wires, checks = [], [], [], [], []
    for port in inputs:
        secret = port.name in interface.secrets
        for copy, names in (("a", first), ("b", second)):
            own = f"{port.name}_{copy}" if secret else port.name
            names.append(f".{port.name}({own})")
            if secret or copy == "a":
                ports.append(f"input logic [{port.width - 1}:0] {own}")
    for port in outputs:
        for copy, names in (("a", first), ("b", second)):
            wires.append(f"  logic [{port.width - 1}:0] {port.name}_{copy};")
            names.append(f".{port.name}({port.name}_{copy})")
    checks = [f"  always_comb assert ({name}_a == {name}_b);" for name in interface.observables]
    return "\n".join(
        [
            f"module twice ({', '.join(ports)});",
            *wires,
            f"  {loaded.top} first ({', '.join(first)});",
            f"  {loaded.top} second ({', '.join(second)});",
            *checks,
            "endmodule",
            "",
        ]
    )


def _project(core: Core, cores: Path, scratch: Path) -> Path:
    """A project of a public core, made in `scratch`."""
    project = scratch / core.name.split()[1].rstrip(":") / str(len(list(scratch.iterdir())))
    (project / "rtl").mkdir(parents=True)
    for name in core.files:
        shutil.copy(cores / core.folder / "src" / "rtl" / f"{name}.v", project / "rtl")
    data = {
        "project": {"name": "core", "top_module": core.top, "language": "v2005"},
        "design": {"sources": ["rtl/*.v"]},
        "verification": {"crypto_verification": {"interface": core.interface}},
    }
    (project / "openforge.yaml").write_text(json.dumps(data), encoding="utf-8")
    return project


if __name__ == "__main__":
    raise SystemExit(main())
