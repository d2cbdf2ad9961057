"""Leaks planted in clean cores, and whether the check `constant_time` finds just these.

    python benchmarks/leak_mutants.py [--seed 1] [--per-core 15] [--neutral 4] [--cores aes ...]
        [--timeout 20] [--style trigger] [--bare] [--scratch FOLDER]
        [--report benchmarks/leak_mutants.md]

Every mutant is a project of its own in the scratch folder. Whether it leaks is known from runs on
Verilator with equal public inputs and different secrets (`leak_truth`), not from the check; those
of which no pair of runs differs are listed as equivalent and drawn again. Exit code 1 when a leak
is passed or a neutral mutant fails, or when more than 5 % are inconclusive.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import leak_source
from leak_conditions import Style
from leak_mutators import LEAKS, NEUTRAL, Kind, draw, write
from leak_report import Answer, Mutant, Planted, good, line, report, row
from leak_source import Core
from leak_truth import Truth

import openforge
from openforge import config, design, interface, netlist
from openforge.engines.constant_time import asking, cascade

ROOT = Path(__file__).resolve().parents[1]
CORES = ("comparator", "divider", "modexp", "butterfly", "aes", "table-lookup", "handshake")
_TRIES, _SAME_STYLE = 60, 15
_TIMEOUT = "verification.crypto_verification.constant_time.timeout_seconds"


def plant(
    core: Core, truth: Truth, scratch: Path, plan: Plan, planted: Planted
) -> Iterator[Mutant]:
    """The mutants of a core, in the order of the plan."""
    probe, seen = truth.probe(), set[str]()
    for number, kind in enumerate(plan.kinds(core)):
        neutral = kind in NEUTRAL
        for attempt in range(_TRIES):
            dice = random.Random(f"{plan.seed} {core.name} {number} {attempt}")
            style = plan.style(core, number)
            if attempt >= _SAME_STYLE and not plan.only:
                style = dice.choice(list(Style))
            mutation = draw(core, probe, kind, style, dice)
            if mutation is None or (text := mutation.text(core)) in seen:
                continue
            seen.add(text)
            name = f"{core.name}-{number:02}-{attempt:02}"
            folder = scratch / name
            write(core, mutation, folder)
            place = f"{core.file}:{mutation.line(core)}"
            observed = [*core.interface.observables, *filter(None, [mutation.observes])]
            witness = truth.witness(folder, mutation.run, observed)
            if neutral and witness:
                raise AssertionError(f"{name} is not neutral: {mutation.says}, {witness}")
            if neutral or witness:
                mutant = Mutant(name, core.name, mutation, place, folder, witness)
                (folder / "PLANTED").write_text(line(mutant) + "\n", encoding="utf-8")
                planted.mutants.append(mutant)
                yield mutant
                break
            planted.equivalent.append(f"{name}: {kind}, {place}: {mutation.says}")
        else:
            print(f"{core.name} {number}: no {kind} found", file=sys.stderr)


@dataclass(frozen=True)
class Plan:
    """How many mutants of which kinds; each core gets all kinds that it can have, in turn."""

    seed: int
    leaks: int
    neutral: int
    only: Style | None = None

    def kinds(self, core: Core) -> list[Kind]:
        """The kinds of the mutants of `core`."""
        possible = [kind for kind in LEAKS if kind is not Kind.EARLY or core.done]
        neutral = [kind for kind in NEUTRAL if core.done or kind in (Kind.DATA, Kind.PUBLIC)]
        return [possible[n % len(possible)] for n in range(self.leaks)] + [
            neutral[n % len(neutral)] for n in range(self.neutral)
        ]

    def style(self, core: Core, number: int) -> Style:
        """The style of a condition: another one for every mutant of a kind, and in every core."""
        styles = list(Style)
        turn = number + CORES.index(core.name)
        return self.only or styles[turn % len(styles)]


def ask(folder: Path, timeout_s: float, *, bare: bool) -> Answer:
    """What the check says of the project in `folder`, or if `bare` its decision alone."""
    began = time.perf_counter()
    try:
        verdict, by, reason = (_decision if bare else _verdict)(folder, timeout_s)
    except Exception as error:  # a crash is an answer to be counted, and the rest goes on
        verdict, by, reason = "error", "", f"{type(error).__name__}: {error}"
    return Answer(verdict, by, time.perf_counter() - began, reason)


def _verdict(folder: Path, timeout_s: float) -> tuple[str, str, str]:
    result = openforge.start("constant_time", folder, {_TIMEOUT: timeout_s}).result
    assert result is not None
    by = next((bound for bound in result.bounds if " by " in bound), "").rpartition(" by ")[2]
    return str(result.verdict), by.split(" and ")[0], result.reason


def _decision(folder: Path, timeout_s: float) -> tuple[str, str, str]:
    """The decision without what surrounds it: self-check, latency, replay, a job of its own."""
    deadline = time.monotonic() + timeout_s
    loaded = config.load(folder)
    crypto = loaded.verification.crypto_verification
    assert crypto is not None and crypto.constant_time is not None
    depth, read = crypto.constant_time.depth, design.load(folder, loaded)
    work = Path(tempfile.mkdtemp(prefix="decision-", dir=folder.parent))
    graph = netlist.graph(read, work)
    asked = asking.ask(read, graph, interface.resolve(read, graph, crypto.interface), work)
    found = cascade.decide(asked.question, work, depth=depth, seed=1, deadline=deadline)
    words = {cascade.Word.PROVED: "passed", cascade.Word.LEAK: "failed"}
    steps = "; ".join(
        f"{step.name}: {step.answer} ({step.duration_s:.1f} s)" for step in found.steps
    )
    return words.get(found.word, "inconclusive"), found.by, steps


def main() -> int:
    """Plant, ask, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-core", type=int, default=15)
    parser.add_argument("--neutral", type=int, default=4)
    parser.add_argument("--cores", nargs="+", default=CORES, choices=CORES)
    parser.add_argument("--timeout", type=float, default=20.0)
    parser.add_argument("--style", type=Style, choices=list(Style), help="of all conditions")
    parser.add_argument("--bare", action="store_true", help="without self-check, replay, latency")
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--report", type=Path, default=ROOT / "benchmarks" / "leak_mutants.md")
    given = parser.parse_args()
    scratch = given.scratch or Path(tempfile.mkdtemp(prefix="of-leaks-"))
    os.environ["OPENFORGE_WORKSPACE"] = str(scratch / "workspace")
    plan = Plan(given.seed, given.per_core, given.neutral, given.style)
    planted, answers, began = Planted(), list[Answer](), time.perf_counter()
    text = ""
    for name in given.cores:
        core = leak_source.read(ROOT / "examples" / name)
        work = scratch / f"truth-{name}"
        work.mkdir(parents=True)
        for mutant in plant(core, Truth(core, work, plan.seed), scratch, plan, planted):
            answers.append(ask(mutant.folder, given.timeout, bare=given.bare))
            print(f"{row(mutant, answers[-1])} {answers[-1].reason}", file=sys.stderr, flush=True)
        took = f"{time.perf_counter() - began:.0f} s in all"
        kept = f"{took}, time limit {given.timeout:g} s{', bare' if given.bare else ''}"
        text = report(planted, answers, plan.seed, kept)
        given.report.write_text(text, encoding="utf-8")
    print(text.partition("\n## Mutants")[0])
    print(f"{given.report}, mutants in {scratch}", file=sys.stderr)
    return int(not good(planted.mutants, answers))


if __name__ == "__main__":
    sys.exit(main())
