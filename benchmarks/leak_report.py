"""Mutants, what the check said of them, and the report of both."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leak_mutators import Kind, Mutation
from leak_truth import RUNS, Witness

INCONCLUSIVE = 0.05
"""The share of mutants on which the check may not decide."""


@dataclass(frozen=True)
class Mutant:
    """A mutated project in `folder`; it leaks if there is a `witness`."""

    name: str
    core: str
    mutation: Mutation
    place: str
    folder: Path
    witness: Witness | None

    @property
    def bits(self) -> int:
        """On how many bits at once the change hangs; 0 for a comparison, or what is no choice."""
        return self.mutation.condition.bits if self.mutation.condition else 0


@dataclass(frozen=True)
class Answer:
    """What the check said: its verdict, by which step, and after how long."""

    verdict: str
    by: str
    duration_s: float
    reason: str


@dataclass
class Planted:
    """All mutants of a run, and the equivalent ones that were drawn in between."""

    mutants: list[Mutant] = field(default_factory=list)
    equivalent: list[str] = field(default_factory=list)


def good(mutants: Sequence[Mutant], answers: Sequence[Answer]) -> bool:
    """Whether every leak was found or left open, no other reported, and few left open."""
    words = [_word(mutant, answer) for mutant, answer in zip(mutants, answers, strict=True)]
    open_ = words.count("inconclusive") + words.count("error")
    return not {"MISSED", "FALSE"} & set(words) and open_ <= INCONCLUSIVE * len(words)


def report(planted: Planted, answers: Sequence[Answer], seed: int, took: str) -> str:
    """The table by kind and core, the versions, and every mutant."""
    both = list(zip(planted.mutants, answers, strict=True))
    leaks = [(m, a) for m, a in both if m.witness]
    rare = {
        "leaks on 8 to 23 bits": [(m, a) for m, a in leaks if 8 <= m.bits < 24],
        "leaks on 24 bits or more": [(m, a) for m, a in leaks if m.bits >= 24],
    }
    times = sorted(a.duration_s for _, a in both) or [0.0]
    cores = list(dict.fromkeys(m.core for m, _ in both))
    lines = [
        "# Planted leaks",
        "",
        "Written by `benchmarks/leak_mutants.py`. A leaky mutant has a witness: two runs on",
        "Verilator with equal public inputs that show different timing. Neutral mutants change",
        f"data only, or hang on public values, or balance a secret; {RUNS} secrets showed no",
        "difference. No core has an address output: `address` mutants have a new output",
        "`planted_fetch` (an address or a request), which is observed.",
        "",
        f"* seed {seed}, {took}; {_machine()}",
        f"* {_versions()}",
        f"* {len(leaks)} leaks, {sum(map(len, rare.values()))} of them on 8 or more bits at once; "
        f"{len(both) - len(leaks)} neutral; {len(planted.equivalent)} equivalent ones drawn again",
        f"* a mutant takes {statistics.median(times):.1f} s in the median, at most "
        f"{times[-1]:.1f} s",
        "",
        "Found (or, if neutral, not reported) of all; `?` inconclusive, `!` missed or false.",
        "",
        f"| kind | {' | '.join(cores)} | all | median s | max s |",
        f"|---|{'---|' * (len(cores) + 3)}",
    ]
    for kind in Kind:
        if of_kind := [(m, a) for m, a in both if m.mutation.kind is kind]:
            parts = [[(m, a) for m, a in of_kind if m.core == core] for core in cores]
            lines.append(_table_row(kind, [*parts, of_kind]))
    for name, those in rare.items():
        parts = [[(m, a) for m, a in those if m.core == core] for core in cores]
        lines.append(_table_row(name, [*parts, those]))
    parts = [[(m, a) for m, a in both if m.core == core] for core in cores]
    lines.append(_table_row("all", [*parts, both]))
    lines += ["", "## Mutants", ""]
    lines += ["| mutant | kind | where | what | witness | answer | by | s |", f"|{'---|' * 8}"]
    lines += [row(m, a) for m, a in both]
    lines += ["", "## Equivalent", "", *(f"* {_escaped(each)}" for each in planted.equivalent), ""]
    return "\n".join(lines)


def _table_row(name: str, parts: Sequence[Sequence[tuple[Mutant, Answer]]]) -> str:
    times = sorted(a.duration_s for _, a in parts[-1]) or [0.0]
    cells = " | ".join(_count(part) for part in parts)
    return f"| {name} | {cells} | {statistics.median(times):.1f} | {times[-1]:.1f} |"


def _count(part: Sequence[tuple[Mutant, Answer]]) -> str:
    words = [_word(m, a) for m, a in part]
    right = words.count("found") + words.count("right")
    bad = words.count("MISSED") + words.count("FALSE")
    open_ = len(words) - right - bad
    text = f"{right}/{len(words)}" if words else "-"
    return text + (f" {open_}?" if open_ else "") + (f" {bad}!" if bad else "")


def _word(mutant: Mutant, answer: Answer) -> str:
    if answer.verdict not in ("passed", "failed"):
        return answer.verdict
    if mutant.witness:
        return "found" if answer.verdict == "failed" else "MISSED"
    return "right" if answer.verdict == "passed" else "FALSE"


def row(m: Mutant, a: Answer) -> str:
    """A mutant and what was said of it, as a row of the report."""
    shown = m.witness or "none"
    told = (m.name, m.mutation.kind, m.place, _escaped(m.mutation.says), shown, _word(m, a), a.by)
    return f"| {' | '.join(map(str, told))} | {a.duration_s:.1f} |"


def line(mutant: Mutant) -> str:
    """What was planted, in one line."""
    shown = f"leaks, {mutant.witness}" if mutant.witness else "no leak"
    return f"{mutant.mutation.kind}, {mutant.place}: {mutant.mutation.says} ({shown})"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    return f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.release()}"


def _versions() -> str:
    wheels = ("openforge", "pyslang", "pyosys", "python-sat")
    found = [f"{name} {importlib.metadata.version(name)}" for name in wheels]
    return ", ".join([*found, f"Python {platform.python_version()}"])
