"""The check from the annotation to the result: question, answer, replay, what makes it empty."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from openforge import events, netlist
from openforge.analysis.constraints import ContradictionError
from openforge.analysis.cosimulation import Seen
from openforge.analysis.latency import Latency
from openforge.design import Design
from openforge.engines.constant_time import cascade, conclusion, leaking, steps, vacuity
from openforge.engines.constant_time.asking import Asked, ask
from openforge.engines.constant_time.cascade import Cascade, Word
from openforge.engines.constant_time.leaking import Told
from openforge.engines.constant_time.steps import Kind, Task
from openforge.engines.constant_time.vacuity import SelfCheck
from openforge.errors import CheckFailedToRun
from openforge.interface import Interface, effective, resolve
from openforge.interface_table import interface_rows
from openforge.model import Result, Stage, Verdict
from openforge.run_folder import RunFolder
from openforge.schema_crypto import ConstantTimeSection

_SECTION = "verification.crypto_verification"
_ROUNDS = (100, 400)
_MEASURE_S = 4.0
_DECIDING = 0.8  # of the time limit; the rest is for what makes the answer worth something
_LIMIT = 2000  # cycles that an operation is given to end


@dataclass(frozen=True)
class Looked:
    """What was seen beside the answer.

    `fixed` are the observed signals that can never change, `doubtful` those of which that was not
    decided.
    """

    seen: Seen
    latency: Latency | None
    planted: SelfCheck | None
    fixed: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


def run(params: ConstantTimeSection, design: Design, folder: RunFolder) -> Result:
    """Whether secrets can change when something observable happens.

    Raises InterfaceError for a wrong annotation, DesignError for a design with several clocks,
    latches, combinational loops or unsupported constructs, CheckFailedToRun when there is nothing
    to check although it is asked for, or when engines contradict each other.
    """
    deadline = time.monotonic() + _DECIDING * params.timeout_seconds
    if params.enabled is False:
        return _skipped("switched off: constant_time.enabled is false")
    crypto = design.config.verification.crypto_verification
    section = effective(crypto.interface, params.secrets, params.public)
    if not section.secrets and not section.shares:
        reason = f"no secrets are declared ({_SECTION}.interface.secrets)"
        if params.enabled:
            raise CheckFailedToRun(f"constant_time is enabled, but {reason}")
        return _skipped(reason)
    design.require_elaborated()
    design.require_provable()
    graph = netlist.graph(design, folder.work)
    interface = resolve(design, graph, section)
    folder.table("interface", interface_rows(interface, section))
    try:
        asked = ask(design, graph, interface, folder.work, strict=params.strict)
        found = cascade.decide(
            asked.question, folder.work, depth=params.depth, seed=params.seed, deadline=deadline
        )
        looked = _look(asked, params, found, folder)
    except ContradictionError as error:
        return conclusion.contradictory(interface, str(error))
    told = _tell(design, interface, asked, found, folder)
    folder.table("steps", conclusion.step_rows(found))
    return conclusion.conclude(params, interface, asked, found, looked=looked, told=told)


def _skipped(reason: str) -> Result:
    return Result(check="constant_time", stage=Stage.CRYPTO, verdict=Verdict.SKIPPED, reason=reason)


def _look(asked: Asked, params: ConstantTimeSection, found: Cascade, folder: RunFolder) -> Looked:
    """Runs of the design that show whether the question is empty, beside the self-check.

    A leak that they show where none was found makes `found` one.
    """
    events.log("Looking for what would make the answer empty")
    budget = min(_MEASURE_S, params.timeout_seconds * (1 - _DECIDING))
    task = Task(Kind.MEASURE, asked.question, params.seed, budget, _ROUNDS, limit=_LIMIT)
    proof = found.word is Word.PROVED and len(found.steps) > 1
    with ThreadPoolExecutor(2) as pool:
        measuring = pool.submit(steps.run, task, folder.work / "measure")
        planted = None
        if params.self_check:
            planted = vacuity.require_found(asked.question, folder.work, params.seed, proof=proof)
        measured = measuring.result()
    found.believe(measured.leak)
    seen, latency = measured.seen or Seen(), measured.latency
    if latency and latency.seen and asked.question.done is not None:
        seen.toggled.add(asked.question.done)  # operations were seen to end
    folder.table("latencies", conclusion.latency_rows(latency))
    return _with_still(Looked(seen, latency, planted), asked, params, found, folder)


def _with_still(
    looked: Looked, asked: Asked, params: ConstantTimeSection, found: Cascade, folder: RunFolder
) -> Looked:
    """`looked` with what can be said of the observed signals that were not seen to change."""
    if found.word is not Word.PROVED or not looked.seen.alive:
        return looked
    fixed, doubtful = [], []
    until = time.monotonic() + max(1.0, params.timeout_seconds * (1 - _DECIDING))
    for number, signal in enumerate(vacuity.still(asked, looked.seen)):
        changes = vacuity.can_change(
            asked, signal, folder.work / f"still-{number}", seed=params.seed, deadline=until
        )
        if changes is None:
            doubtful.append(signal.bits.text)
        elif not changes:
            fixed.append(signal.bits.text)
    return replace(looked, fixed=tuple(fixed), doubtful=tuple(doubtful))


def _tell(
    design: Design, interface: Interface, asked: Asked, found: Cascade, folder: RunFolder
) -> Told | None:
    """Replay and explain a leak; for what stays open, the way by which there may be one."""
    if found.word is Word.LEAK:
        assert found.leak is not None
        events.log("Replaying the leak on Verilator")
        return leaking.tell(design, interface, asked, found.leak, folder)
    if found.word is Word.BOUNDED and found.flow is not None:
        return leaking.suspect(asked, found.flow, folder)
    return None
