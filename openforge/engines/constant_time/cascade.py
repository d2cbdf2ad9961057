"""The cascade: cheapest step first, each able to answer.

1. Information flow over word-level cells; 2. two merged copies and induction over equal registers,
beside random co-simulation; 3. bounded search and reachability on what is left of the product.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from openforge import events
from openforge.analysis import taint
from openforge.analysis.aiger import decoded
from openforge.analysis.taint import Taint
from openforge.analysis.two_safety import Leak, Question
from openforge.engines.constant_time import steps
from openforge.engines.constant_time.steps import Answer, Kind, Task
from openforge.errors import CheckFailedToRun
from openforge.tools import abc

_ROUNDS = (100, 400, 400)
_LONGER = (200, 1500, 4000, 16000)
_FIRST_SEARCH_S = 4.0
_BOUNDED = "bounded search"


class Word(StrEnum):
    """The answer to the question."""

    PROVED = "proved"
    LEAK = "leak"
    BOUNDED = "bounded"


@dataclass(frozen=True)
class Step:
    """One step of the cascade: what it answered, and how long it took."""

    name: str
    answer: str
    duration_s: float
    message: str = ""


@dataclass
class Cascade:
    """The answer, by which step, and what every step said.

    `depth` is the number of cycles without a difference (BOUNDED). `flow` is the word-level taint
    of the secrets.
    """

    word: Word
    by: str
    steps: list[Step] = field(default_factory=list)
    leak: Leak | None = None
    depth: int = 0
    flow: Taint | None = None

    def believe(self, leak: Leak | None) -> None:
        """Take in a `leak` that was found later.

        Raises CheckFailedToRun when it was proved that there is none: one of the engines is wrong.
        """
        if leak is None or self.word is Word.LEAK:
            return
        if self.word is Word.PROVED:
            raise CheckFailedToRun(
                f"internal contradiction: {self.by} proves what random co-simulation refutes"
            )
        self.word, self.by, self.leak = Word.LEAK, "random co-simulation", leak


def decide(question: Question, work: Path, *, depth: int, seed: int, deadline: float) -> Cascade:
    """Answer `question` by `deadline` (time.monotonic), with files in `work`.

    Raises DesignError for constructs of which no machine can be made, ContradictionError.
    """
    return _Deciding(question, work, depth, seed, deadline).run()


def flow(question: Question) -> Taint:
    """The observed nets that may differ between the copies, by structure alone."""
    sources, memories = [*question.secret, *question.held], set(question.memories)
    if question.strict:
        memories |= {
            name
            for name, cell in question.graph.memories.items()
            if set(cell.params["INIT"]) - {"0", "1"}
        }
        sources += [
            bit
            for cell in question.graph.registers
            for bit in cell.outputs["Q"]
            if isinstance(bit, int) and bit not in question.graph.initial
        ]
    return taint.flow(
        question.graph,
        question.observed,
        sources,
        memories=memories,
        stops=question.shared,
    )


class _Deciding:
    def __init__(
        self, question: Question, work: Path, depth: int, seed: int, deadline: float
    ) -> None:
        self._question, self._work = question, work
        self._depth, self._seed, self._deadline = depth, seed, deadline
        self._steps: list[Step] = []
        self._stop = threading.Event()

    def run(self) -> Cascade:
        began = time.monotonic()
        reached = flow(self._question)
        self._note("word-level taint", "open" if reached.reached else "proved", began)
        if not reached.reached:
            return self._end(Word.PROVED, "word-level taint", flow=reached)
        with ThreadPoolExecutor(2) as pool:
            try:
                return self._decide(pool, reached)
            finally:
                self._stop.set()

    def _decide(self, pool: ThreadPoolExecutor, reached: Taint) -> Cascade:
        inducing = pool.submit(self._step, Kind.INDUCT, "induction", self._left() / 2)
        budget = min(_FIRST_SEARCH_S, self._left() / 2)
        searching = pool.submit(self._step, Kind.SEARCH, "co-simulation", budget, _ROUNDS)
        for done in as_completed([inducing, searching]):
            answer = done.result()
            if answer.leak:
                return self._end(Word.LEAK, "random co-simulation", answer.leak, flow=reached)
            if answer.proved:
                by = "induction" if answer.calls else "two-copy product"
                return self._end(Word.PROVED, by, flow=reached)
        induced = inducing.result()
        if not induced.inputs:
            return self._search_on(reached)
        found = self._model_check(pool, induced)
        found.flow = reached
        return found

    def _search_on(self, reached: Taint) -> Cascade:
        """What is left where the design is too large for a proof: more random runs."""
        answer = None
        if self._left() > 1:
            answer = self._step(Kind.SEARCH, "longer co-simulation", self._left(), _LONGER)
        if answer and answer.leak:
            return self._end(Word.LEAK, "random co-simulation", answer.leak, flow=reached)
        return self._end(Word.BOUNDED, "random co-simulation", flow=reached)

    def _model_check(self, pool: ThreadPoolExecutor, induced: Answer) -> Cascade:
        """Bounded search beside reachability; whoever has nothing to say makes room."""
        circuit = self._work / "induction" / steps.CIRCUIT
        left, depth = self._left(), 0
        tasks: dict[Future[abc.Answer | Answer], str] = {
            pool.submit(self._bounded, circuit, len(induced.inputs), left): _BOUNDED,
            pool.submit(self._unbounded, circuit, len(induced.inputs), left): "reachability",
        }
        longer = False
        while tasks:
            finished, _ = wait(tasks, return_when=FIRST_COMPLETED)
            for done in finished:
                name, answer = tasks.pop(done), done.result()
                found, clean = self._judge(name, answer, induced)
                if found:
                    return found
                depth = max(depth, clean)
            if not longer and self._left() > 1:
                longer = True
                tasks[
                    pool.submit(
                        self._step, Kind.SEARCH, "longer co-simulation", self._left(), _LONGER
                    )
                ] = "longer co-simulation"
        return self._end(Word.BOUNDED, _BOUNDED, depth=depth)

    def _judge(
        self, name: str, answer: abc.Answer | Answer, induced: Answer
    ) -> tuple[Cascade | None, int]:
        """The answer that a step's word is, and the cycles that it found clean."""
        if isinstance(answer, Answer):
            leak = answer.leak
            return (self._end(Word.LEAK, name, leak) if leak else None), 0
        if answer.word is abc.Word.NEVER:
            return self._end(Word.PROVED, name), 0
        if answer.word is abc.Word.REACHED:
            leak = self._confirmed(name, answer, induced)
            # of the bounded search, which looks for the shortest, the cycles before are clean
            clean = answer.cycles if name == _BOUNDED else 0
            return (self._end(Word.LEAK, name, leak) if leak else None), clean
        return None, answer.cycles

    def _confirmed(self, name: str, answer: abc.Answer, induced: Answer) -> Leak | None:
        """A model checker's counterexample as a leak of the design itself.

        It may need what the product leaves open: contents of memories, x, what registers hold. If
        there is nothing of that, it must be a leak.
        """
        reset = self._question.reset
        runs = decoded(
            induced.inputs,
            answer.frames,
            (reset.net, reset.active, reset.cycles) if reset else (0, 0, 0),
        )
        began = time.monotonic()
        task = Task(
            Kind.CONFIRM,
            self._question,
            self._seed,
            max(self._left(), 5.0),
            leak=Leak(runs, 0, answer.cycles),
        )
        confirmed = steps.run(task, self._work / f"confirm-{name.replace(' ', '-')}")
        leak = confirmed.leak
        exact = not (induced.open_memory or induced.unknown or self._question.held)
        if leak is None and exact and not confirmed.ended:
            raise CheckFailedToRun(
                f"internal contradiction: the counterexample of the {name} is no leak when it is "
                "simulated"
            )
        said = "leak" if leak else "needs values that the design may not have"
        self._note(f"simulation of what the {name} found", said, began)
        return leak

    def _step(self, kind: Kind, name: str, budget_s: float, rounds: tuple[int, ...] = ()) -> Answer:
        began = time.monotonic()
        events.log(f"{name.capitalize()}")
        task = Task(kind, self._question, self._seed, budget_s, rounds)
        answer = steps.run(task, self._work / name.replace(" ", "-"), stop=self._stop)
        self._note(name, _said(answer), began, _details(answer))
        return answer

    def _bounded(self, circuit: Path, inputs: int, timeout_s: float) -> abc.Answer:
        return self._abc(
            _BOUNDED,
            lambda: abc.bounded(
                circuit, inputs=inputs, depth=self._depth, timeout_s=timeout_s, stop=self._stop
            ),
        )

    def _unbounded(self, circuit: Path, inputs: int, timeout_s: float) -> abc.Answer:
        return self._abc(
            "reachability",
            lambda: abc.unbounded(circuit, inputs=inputs, timeout_s=timeout_s, stop=self._stop),
        )

    def _abc(self, name: str, ask: Callable[[], abc.Answer]) -> abc.Answer:
        began = time.monotonic()
        events.log(name.capitalize())
        answer = ask()
        shown = {
            abc.Word.NEVER: "proved",
            abc.Word.REACHED: f"difference in cycle {answer.cycles}",
            abc.Word.BOUNDED: f"none in {answer.cycles} cycles",
            abc.Word.OPEN: "open",
        }
        self._note(name, shown[answer.word], began)
        return answer

    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _note(self, name: str, answer: str, began: float, message: str = "") -> None:
        self._steps.append(Step(name, answer, round(time.monotonic() - began, 3), message))

    def _end(
        self,
        word: Word,
        by: str,
        leak: Leak | None = None,
        *,
        depth: int = 0,
        flow: Taint | None = None,
    ) -> Cascade:
        self._stop.set()
        return Cascade(word, by, self._steps, leak, depth, flow)


def _said(answer: Answer) -> str:
    if answer.leak:
        return "leak"
    if answer.proved:
        return "proved"
    return answer.ended or answer.too_large or ("none found" if answer.seen else "open")


def _details(answer: Answer) -> str:
    if answer.seen:
        return f"{answer.seen.runs} pairs of runs, up to {answer.seen.cycles} cycles"
    if answer.registers:
        return f"{answer.equal} of {answer.registers} register bits stay equal"
    return ""
