"""How long a user waits: imports, the first cell, a trivial notebook, lint, a whole warm run.

    python benchmarks/startup.py

Prints the median of several runs of each, and the ratio to the `papermill` command, measured in
turn in the same run. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from openforge import config, design, runner
from openforge.engines import lint
from openforge.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "ntt-butterfly"


def median(action: Callable[[], float | None], runs: int = 5) -> float:
    """The median time of `runs` calls after one to warm up, or of the times they return."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        told = action()
        times.append(time.perf_counter() - started if told is None else told)
    return statistics.median(times[1:])


def command(*words: str | Path) -> Callable[[], None]:
    """An action that runs a Python command line."""

    def action() -> None:
        subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)

    return action


def notebook(folder: Path) -> Path:
    """A trivial notebook."""
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "P", "language": "python"}
    nbformat.write(book, folder / "trivial.ipynb")
    return folder / "trivial.ipynb"


def execute(source: Path, *, first_cell: bool) -> float:
    """Seconds to the first cell, or to the end, of a notebook in a forked kernel."""
    started, cells = time.perf_counter(), []

    def take(event: runner.Event) -> None:
        if event["type"] == "cell":
            cells.append(time.perf_counter() - started)

    output = source.with_suffix(".out.ipynb")
    execution = runner.Execution(source, output, {}, source.parent)
    runner.execute(execution, on_event=take, cancel=threading.Event())
    return cells[0] if first_cell else time.perf_counter() - started


def lint_example(folder: Path) -> None:
    """Lint the butterfly in this process."""
    loaded = config.load(EXAMPLE)
    run = RunFolder.create(Path(tempfile.mkdtemp(dir=folder)) / "lint.tmp")
    lint.run(loaded.verification.lint, design.load(EXAMPLE, loaded), run)


def main() -> int:
    """Measure, print, compare."""
    folder = Path(tempfile.mkdtemp())
    source = notebook(folder)
    workspace = ("--workspace", folder / "workspace")
    papermill = ("-m", "papermill", "--engine", "nbclient", source, folder / "pm.ipynb")
    rows = [
        ("import openforge", median(command("-c", "import openforge")), 0.3),
        ("openforge --help", median(command("-m", "openforge", "--help")), 0.4),
        ("to the first cell, warm", median(lambda: execute(source, first_cell=True)), 0.2),
        ("lint of the butterfly", median(lambda: lint_example(folder)), 0.3),
        (
            "openforge run ntt-butterfly",
            median(command("-m", "openforge", "run", EXAMPLE, *workspace), runs=3),
            8.0,
        ),
    ]
    ours = median(lambda: execute(source, first_cell=False))
    theirs = median(command(*papermill), runs=3)
    for name, seconds, limit in rows:
        word = "ok" if seconds <= limit else "MISSED"
        print(f"{name:32} {seconds:7.3f} s   target {limit} s   {word}")
    ratio = theirs / ours
    word = "ok" if ratio >= 5 else "MISSED"
    print(f"{'trivial notebook':32} {ours:7.3f} s   papermill {theirs:.3f} s")
    print(f"{'  times as fast':32} {ratio:7.1f} x   target 5 x   {word}")
    shutil.rmtree(folder)
    return int(any(seconds > limit for _, seconds, limit in rows) or ratio < 5)


if __name__ == "__main__":
    sys.exit(main())
