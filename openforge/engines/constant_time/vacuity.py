"""Whether a proof says anything: what would make the question empty is looked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openforge.analysis import taint
from openforge.analysis.cosimulation import Seen
from openforge.analysis.planted import changing, planted
from openforge.analysis.two_safety import Question
from openforge.engines.constant_time import cascade, steps
from openforge.engines.constant_time.asking import Asked, Signal
from openforge.engines.constant_time.cascade import Word
from openforge.engines.constant_time.steps import Answer, Kind, Task
from openforge.errors import CheckFailedToRun

_PLANTED_ROUNDS = (64, 400, 2000)
_PLANTED_S = 10.0
_CHANGE_DEPTH = 100


def unreached(asked: Asked) -> Iterator[str]:
    """The secrets on which no output depends, by structure: their question is empty."""
    graph = asked.question.graph
    outputs = [bit for port in graph.outputs for bit in port.bits if isinstance(bit, int)]
    used = taint.cone(graph, outputs)
    for secret in asked.secrets:
        if used.isdisjoint(secret.nets):
            yield secret.bits.text


def still(asked: Asked, seen: Seen) -> Iterator[Signal]:
    """The observed signals that no run was seen to change."""
    for signal in asked.observed:
        if not seen.toggled.intersection(signal.nets):
            yield signal


def can_change(
    asked: Asked, signal: Signal, work: Path, *, seed: int, deadline: float
) -> bool | None:
    """Whether an observed signal can change outside of a reset; None: not decided in time.

    Asked of the engines that answer questions of two copies, see `planted.changing`.
    """
    if not signal.nets:
        return False
    trial = changing(asked.question, signal.nets)
    found = cascade.decide(trial, work, depth=_CHANGE_DEPTH, seed=seed, deadline=deadline)
    return {Word.LEAK: True, Word.PROVED: False, Word.BOUNDED: None}[found.word]


@dataclass(frozen=True)
class SelfCheck:
    """How a planted leak was found. `empty`: it was not, as no two runs may differ in a secret."""

    said: str
    empty: bool = False


def require_found(question: Question, work: Path, seed: int, *, proof: bool) -> SelfCheck:
    """Plant a leak in the design and see that it is found; how it was done.

    With `proof`, also that the steps that prove by more than structure do not prove that there is
    none. Raises CheckFailedToRun when something is wrong: then nothing that was said counts.
    """
    trial = planted(question)
    if trial is None:
        return SelfCheck("no secret bit is left to plant a leak with", empty=True)
    began = time.monotonic()
    if not cascade.flow(trial).reached:
        raise CheckFailedToRun("self-check: word-level taint does not see a leak that was planted")
    rounds = tuple(question.reset_cycles + cycles for cycles in _PLANTED_ROUNDS)
    answer = steps.run(Task(Kind.SEARCH, trial, seed, _PLANTED_S, rounds), work / "planted-leak")
    if answer.leak is None:
        return _not_found(question, answer)
    if proof:
        task = Task(Kind.INDUCT, trial, seed, _PLANTED_S)
        answer = steps.run(task, work / "planted-proof")
        if answer.proved:
            raise CheckFailedToRun("self-check: induction proves a design with a planted leak")
    seconds = time.monotonic() - began
    return SelfCheck(f"a leak planted in the design was found ({seconds:.1f} s)")


def _not_found(question: Question, answer: Answer) -> SelfCheck:
    """What it means that a planted leak was not found. Raises CheckFailedToRun for an engine."""
    if answer.ended or answer.too_large:
        said = answer.ended or answer.too_large
        return SelfCheck(f"the search for a planted leak was ended: {said}", empty=True)
    if answer.seen and not answer.seen.differed:
        return SelfCheck("no two runs with different secrets are left", empty=True)
    if question.memories:
        return SelfCheck("random runs did not read the secret words of the memory", empty=True)
    raise CheckFailedToRun("self-check: co-simulation does not find a leak that was planted")
