"""Which engine is asked what, and what its word is worth: from goals to outcomes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from openforge import events
from openforge.engines.formal.model import Goal, Model
from openforge.tools import sby
from openforge.tools.sby import Report, Status, Task

_DEPTHS = (2, 5, 10, 20, 40)
_LEAST_S = 1.0
_SHORT_S = 5.0  # for a goal whose answer cannot change the verdict of the check any more


class Word(StrEnum):
    """What is known of a goal."""

    PROVEN = "proven"
    FAILED = "failed"
    BOUNDED = "bounded"
    BROKEN = "broken"  # no engine gave an answer because of a tool


@dataclass(frozen=True)
class Outcome:
    """The answer to one goal.

    `depth` is an induction depth or a number of cycles checked; `step` and `witness` show a
    failure, `model` is the netlist that the witness belongs to.
    """

    word: Word
    engine: str = ""
    depth: int | None = None
    step: int | None = None
    witness: Path | None = None
    model: Path | None = None
    duration_s: float = 0.0
    note: str = ""


@dataclass
class Deadline:
    """The time limit of the whole check."""

    timeout_s: float
    started: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.started + self.timeout_s - time.monotonic())


@dataclass
class Prover:
    """Answers goals about one model with the engines that the user listed."""

    model: Model
    engines: Sequence[str]
    depth: int
    work: Path
    deadline: Deadline
    contradiction: int | None = None
    failed_somewhere: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def smt(self) -> tuple[str, ...]:
        """The SMT engines of the portfolio."""
        return tuple(name for name in self.engines if name.startswith("smtbmc "))

    def decide(self, goals: Iterable[Goal], *, prove: bool) -> dict[str, Outcome]:
        """An outcome for each of `goals`: induction on all at once, then BMC and PDR on the rest.

        Goals that hold together by induction may lean on each other; one that failed or stayed
        open is taken out first, so nothing ever leans on it.
        """
        todo = {goal.name: goal for goal in goals}
        limit = Deadline(self.deadline.left_s)
        search = _Search(self, todo, limit)
        if prove and self.smt:
            search.induct()
        search.bmc(share=0.6 if prove and "abc pdr" in self.engines else 1.0)
        if prove and "abc pdr" in self.engines:
            search.pdr()
        return search.finish()

    def cover(self, goals: Sequence[Goal], *, share: float) -> dict[str, Outcome]:
        """Outcome FAILED (with the step) for each of `goals` that an SMT engine sees happen."""
        outcomes: dict[str, Outcome] = {}
        for engine in self.smt[:2]:
            rest = [goal for goal in goals if goal.name not in outcomes]
            if not rest or self.deadline.left_s < _LEAST_S:
                break
            report = self.run(
                "cover", self.depth, (engine,), rest, self.deadline.left_s * share, cover=True
            )
            for part in report.engines:
                outcomes |= self._hits(report, part)
            if report.status is not Status.ERROR:
                for goal in rest:
                    done = max((part.steps_done for part in report.engines), default=0)
                    outcomes.setdefault(
                        goal.name,
                        Outcome(Word.BOUNDED, engine, depth=done, duration_s=report.duration_s),
                    )
        return outcomes

    def run(
        self,
        mode: str,
        depth: int,
        engines: Sequence[str],
        goals: Sequence[Goal],
        timeout_s: float,
        *,
        cover: bool = False,
    ) -> Report:
        """Run SymbiYosys on `goals`; remembers failures and contradicting assumptions."""
        task = Task(
            name=f"task{next(self._numbers)}_{mode}",
            mode=mode,
            depth=depth,
            engines=tuple(engines),
            model=self.model.text(goals, cover=cover),
            top=self.model.top,
            timeout_s=min(timeout_s, self.deadline.left_s),
            multiclock=self.model.netlist.multiclock,
        )
        report = sby.run(task, self.work)
        for part in report.engines:
            if part.contradiction:
                known = self.contradiction
                self.contradiction = part.step if known is None else min(known, part.step)
            elif part.part != "induction" and not cover:
                self.failed_somewhere |= {hit.name for hit in part.hits}
        if report.status is Status.ERROR and not any(p.contradiction for p in report.engines):
            words = [w for w in report.words if "ERROR" in w or "Error" in w] or report.words
            self.problems.append(f"{', '.join(engines)}: {' '.join(words[-2:])[:300]}")
        return report

    def _hits(self, report: Report, part: sby.EngineReport) -> dict[str, Outcome]:
        return {
            hit.name: Outcome(
                Word.FAILED,
                _plain(part.engine),
                step=hit.step,
                duration_s=report.duration_s,
                witness=report.folder / hit.witness if hit.witness else None,
                model=report.folder / "model" / "design_prep.il",
            )
            for hit in reversed(part.hits)
        }


@dataclass
class _Search:
    """The state of one call of `Prover.decide`."""

    prover: Prover
    todo: dict[str, Goal]
    limit: Deadline
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    bounds: dict[str, Outcome] = field(default_factory=dict)
    pushed: bool = False

    @property
    def open(self) -> list[Goal]:
        return [goal for name, goal in self.todo.items() if name not in self.outcomes]

    @property
    def _out_of_time(self) -> bool:
        return self.limit.left_s < _LEAST_S or self.prover.contradiction is not None

    def induct(self) -> None:
        """Induction at growing depths; at each, drop what fails and what is not inductive."""
        depth_limit = self.prover.depth
        depths = [*(d for d in _DEPTHS if d < depth_limit), depth_limit]
        for index, depth in enumerate(depths):
            if not self.open or self._out_of_time:
                return
            share = self.limit.left_s / max(1.0, min(3.0, len(depths) - index))
            if not self._induct_at(depth, Deadline(share)):
                return

    def _induct_at(self, depth: int, limit: Deadline) -> bool:
        """False when the time ran out or the engines broke: larger depths make no sense then."""
        candidates = self.open
        while candidates and limit.left_s >= _LEAST_S and not self._out_of_time:
            events.log(f"Induction over {depth} cycles: {len(candidates)} goals")
            report = self._ask("prove", depth, candidates, limit.left_s)
            if report.status is Status.PASS:
                engines = _by(report, "induction") or _by(report, "basecase")
                for goal in candidates:
                    self.outcomes[goal.name] = Outcome(
                        Word.PROVEN, engines, depth=depth, duration_s=report.duration_s
                    )
                return True
            if report.status in (Status.ERROR, Status.TIMEOUT):
                return False
            candidates = self._next(report, candidates)
        return True

    def _next(self, report: Report, candidates: list[Goal]) -> list[Goal]:
        """The goals to try again: without those that failed, else without those not inductive."""
        if report.status is Status.FAIL:
            return [goal for goal in candidates if goal.name not in self.outcomes]
        loose = {
            hit.name for part in report.engines if part.part == "induction" for hit in part.hits
        }
        return [goal for goal in candidates if goal.name not in loose] if loose else []

    def _ask(self, mode: str, depth: int, goals: list[Goal], timeout_s: float) -> Report:
        """All SMT engines at once; when one of them breaks, each by itself until one answers."""
        smt = [name.replace(" ", " --keep-going ", 1) for name in self.prover.smt]
        choices = [smt] if len(smt) == 1 else [smt, *([name] for name in smt)]
        for engines in choices:
            report = self.prover.run(mode, depth, engines, goals, timeout_s)
            self._note(report, goals)
            if report.status is not Status.ERROR or self.prover.contradiction is not None:
                break
        return report

    def _note(self, report: Report, goals: list[Goal]) -> None:
        """Keep failures and how far the base case came."""
        for part in report.engines:
            if part.part == "induction":
                continue
            for name, outcome in self.prover._hits(report, part).items():
                self.outcomes.setdefault(name, outcome)
            for goal in goals:
                best = self.bounds.get(goal.name)
                if part.steps_done > ((best.depth or 0) if best else 0):
                    self.bounds[goal.name] = Outcome(
                        Word.BOUNDED,
                        _plain(part.engine),
                        depth=part.steps_done,
                        duration_s=report.duration_s,
                    )

    def pdr(self) -> None:
        """PDR on each open goal by itself, two at a time; short when a goal has failed already."""
        goals = self.open
        if not goals or self._out_of_time:
            return
        rounds = (len(goals) + 1) // 2
        each = self.limit.left_s / rounds
        if any(outcome.word is Word.FAILED for outcome in self.outcomes.values()):
            each = min(each, _SHORT_S)
        events.log(f"PDR: {len(goals)} goals, {each:.0f} s each at most")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda goal: self._pdr_one(goal, each), goals))

    def _pdr_one(self, goal: Goal, timeout_s: float) -> None:
        if self.limit.left_s < _LEAST_S:
            return
        report = self.prover.run("prove", self.prover.depth, ("abc pdr",), [goal], timeout_s)
        self.pushed |= report.status in (Status.UNKNOWN, Status.TIMEOUT)
        if report.status is Status.PASS:
            self.outcomes[goal.name] = Outcome(Word.PROVEN, "abc pdr", duration_s=report.duration_s)
        elif report.status is Status.FAIL:
            step = next((part.step for part in report.engines), 0)
            self.outcomes[goal.name] = Outcome(
                Word.FAILED,
                "abc pdr",
                step=step,
                duration_s=report.duration_s,
                witness=report.folder / "engine_0" / "trace.yw",
                model=report.folder / "model" / "design_prep.il",
            )
            self.prover.failed_somewhere.add(goal.name)

    def bmc(self, *, share: float) -> None:
        """Bounded search up to `depth` for what is still open, with the engines that can."""
        limit = Deadline(self.limit.left_s * share)
        goals = [g for g in self.open if self._depth_of(g) < self.prover.depth]
        if not goals or self._out_of_time:
            return
        events.log(f"Bounded search to cycle {self.prover.depth}: {len(goals)} goals")
        if self.prover.smt:
            # `prove --basecase` is a bounded search that ends when the first engine has ended.
            smt = [f"smtbmc --basecase --keep-going {n.split()[1]}" for n in self.prover.smt]
            for engines in [smt] if len(smt) == 1 else [smt, *([n] for n in smt)]:
                report = self.prover.run("prove", self.prover.depth, engines, goals, limit.left_s)
                self._note(report, goals)
                if report.status is not Status.ERROR:
                    return
        elif "abc bmc3" in self.prover.engines:
            for goal in goals:
                self._bmc3(goal, limit.left_s)

    def _bmc3(self, goal: Goal, timeout_s: float) -> None:
        report = self.prover.run("bmc", self.prover.depth, ("abc bmc3",), [goal], timeout_s)
        if report.status is Status.FAIL:
            step = next((part.step for part in report.engines), 0)
            self.prover.failed_somewhere.add(goal.name)
            self.outcomes[goal.name] = Outcome(
                Word.FAILED,
                "abc bmc3",
                step=step,
                duration_s=report.duration_s,
                witness=report.folder / "engine_0" / "trace.yw",
                model=report.folder / "model" / "design_prep.il",
            )
        elif report.status is Status.PASS:
            self.bounds[goal.name] = Outcome(
                Word.BOUNDED, "abc bmc3", depth=self.prover.depth, duration_s=report.duration_s
            )

    def _depth_of(self, goal: Goal) -> int:
        bound = self.bounds.get(goal.name)
        return (bound.depth or 0) if bound else 0

    def finish(self) -> dict[str, Outcome]:
        """The outcomes; a goal that no engine said anything of is broken or ran out of time."""
        for goal in self.open:
            bound = self.bounds.get(goal.name)
            late = self.limit.left_s < _LEAST_S or self.pushed
            if bound:
                note = "the time limit was reached" if self.limit.left_s < _LEAST_S else ""
                self.outcomes[goal.name] = replace(bound, note=note)
            elif late or self.prover.contradiction is not None or not self.prover.problems:
                self.outcomes[goal.name] = Outcome(
                    Word.BOUNDED, depth=0, note="no engine came to an answer in its time"
                )
            else:
                self.outcomes[goal.name] = Outcome(
                    Word.BROKEN, note="; ".join(dict.fromkeys(self.prover.problems))
                )
        return self.outcomes


def _plain(engine: str) -> str:
    return " ".join(word for word in engine.split() if not word.startswith("--"))


def _by(report: Report, part: str) -> str:
    names = [_plain(p.engine) for p in report.engines if p.part == part and p.status == "passed"]
    return names[0] + " (k-induction)" if names else ""
