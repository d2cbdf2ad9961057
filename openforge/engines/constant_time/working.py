"""What a step of the cascade does, as a program: reads a task, writes an answer as JSON.

It imports the analysis and nothing else: a step is started for every question, and should start
fast.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from openforge.analysis import constraints, cosimulation, latency, shrink
from openforge.analysis.aiger import circuit
from openforge.analysis.constraints import ContradictionError
from openforge.analysis.cosimulation import Seen
from openforge.analysis.induction import induct
from openforge.analysis.lanes import TooLargeError
from openforge.analysis.latency import Latency
from openforge.analysis.machine import Machine, Origin, UnsupportedError
from openforge.analysis.product import Product
from openforge.analysis.two_safety import Leak, Question

CIRCUIT = "circuit.aig"
ANSWER = "answer.json"
TASK = "task.pickle"
_SHRINK_S = 3.0


class Kind(StrEnum):
    """What a step does."""

    SEARCH = "search"  # random co-simulation
    INDUCT = "induct"  # Houdini, and the circuit for what it leaves open
    CONFIRM = "confirm"  # simulate a counterexample, and make it small
    MEASURE = "measure"  # random co-simulation, and the latency


@dataclass(frozen=True)
class Task:
    """What a step is asked. `rounds` are numbers of cycles; `leak` is what CONFIRM looks at."""

    kind: Kind
    question: Question
    seed: int
    budget_s: float
    rounds: tuple[int, ...] = ()
    leak: Leak | None = None
    limit: int = 1000


@dataclass(frozen=True)
class Answer:
    """What a step found.

    `proved` with `calls` and `equal` (numbers of registers that stay equal, of `registers`) is of
    INDUCT, as are `inputs`, the names of its circuit's inputs. `open_memory` and
    `unknown` say that the circuit leaves contents of memories, or x, open. `contradiction`,
    `unsupported` (with `src`) and `too_large` say why there is nothing else; `ended` is the limit
    that ended the step.
    """

    leak: Leak | None = None
    seen: Seen | None = None
    latency: Latency | None = None
    proved: bool = False
    calls: int = 0
    equal: int = 0
    registers: int = 0
    inputs: tuple[str, ...] = ()
    open_memory: bool = False
    unknown: bool = False
    contradiction: str = ""
    unsupported: str = ""
    src: str = ""
    too_large: str = ""
    ended: str = ""


def answer(task: Task, folder: Path) -> Answer:
    """Do a step in this process; `folder` is where a circuit goes."""
    try:
        return _STEPS[task.kind](task, folder)
    except UnsupportedError as error:
        return Answer(unsupported=str(error), src=error.src.split("|")[0])
    except ContradictionError as error:
        return Answer(contradiction=str(error))
    except TooLargeError as error:
        return Answer(too_large=str(error))


def _search(task: Task, folder: Path) -> Answer:
    machine = task.question.machine()
    began = time.monotonic()
    found = constraints.solutions(task.question, machine, task.seed)
    leak, seen = cosimulation.search(
        task.question,
        machine,
        seed=task.seed,
        cycles=task.rounds,
        deadline=began + task.budget_s,
        solutions=found,
    )
    if leak:
        _write(Answer(leak=leak, seen=seen), folder)  # in case that to make it small takes long
        until = time.monotonic() + _SHRINK_S
        leak = shrink.shrink(task.question, machine, leak, deadline=until)
    return Answer(leak=leak, seen=seen)


def _confirm(task: Task, folder: Path) -> Answer:
    began = time.monotonic()
    machine = task.question.machine()
    assert task.leak is not None
    leak = shrink.confirm(task.question, machine, task.leak.runs)
    if leak:
        _write(Answer(leak=leak), folder)
        leak = shrink.shrink(task.question, machine, leak, deadline=began + task.budget_s)
    return Answer(leak=leak)


def _measure(task: Task, folder: Path) -> Answer:
    looked = _search(replace(task, budget_s=task.budget_s / 2), folder)
    _write(looked, folder)  # in case that operations take long
    machine = task.question.machine()
    began = time.monotonic()
    measured = latency.measure(
        task.question,
        machine,
        seed=task.seed,
        limit=task.limit,
        deadline=began + task.budget_s / 2,
        solutions=constraints.solutions(task.question, machine, task.seed),
    )
    return Answer(leak=looked.leak, seen=looked.seen, latency=measured)


def _induct(task: Task, folder: Path) -> Answer:
    """First what structure says, which is left as an answer in case that the solver takes long."""
    began = time.monotonic()
    machine = task.question.machine()
    quick = _induced(task.question, machine, folder, began)
    if quick.proved:
        return quick
    _write(quick, folder)
    return _induced(task.question, machine, folder, began + task.budget_s)


def _induced(question: Question, machine: Machine, folder: Path, deadline: float) -> Answer:
    found = induct(question, machine, deadline=deadline)
    names: tuple[str, ...] = ()
    if not found.proved:
        made = circuit(Product(question, machine), found.equal)
        part = folder / f"{CIRCUIT}.part"
        part.write_bytes(made.data)
        part.replace(folder / CIRCUIT)
        names = made.inputs
    return Answer(
        proved=found.proved,
        calls=found.calls,
        equal=len(found.equal.latches),
        registers=len(machine.latches),
        inputs=names,
        open_memory=bool(machine.memories),
        unknown=any(variable.origin is not Origin.INPUT for variable in machine.variables),
    )


_STEPS = {
    Kind.SEARCH: _search,
    Kind.CONFIRM: _confirm,
    Kind.MEASURE: _measure,
    Kind.INDUCT: _induct,
}


def main(argv: list[str]) -> int:
    """Read a task, write its answer."""
    task = pickle.loads(Path(argv[0]).read_bytes())  # noqa: S301  (this project wrote it)
    done = answer(task, Path())
    _write(done, Path())
    return 0


def _write(answer: Answer, folder: Path) -> None:
    part = folder / f"{ANSWER}.part"
    part.write_text(json.dumps(asdict(answer), default=sorted), encoding="utf-8")
    part.replace(folder / ANSWER)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
