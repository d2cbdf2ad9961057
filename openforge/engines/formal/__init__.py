"""Formal: every assertion proven, refuted with a replayed counterexample, or said to be open."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from openforge import design as designs
from openforge import events
from openforge.config import FormalSection, resolve_globs
from openforge.design import Design
from openforge.engines.formal import judge, netlist, properties, vacuity
from openforge.engines.formal.judge import BAD, Judged, Status
from openforge.engines.formal.model import Aim, Goal, Model, build
from openforge.engines.formal.portfolio import Deadline, Outcome, Prover, Word
from openforge.engines.formal.properties import Named
from openforge.engines.formal.vacuity import Reach
from openforge.errors import CheckFailedToRun
from openforge.model import Finding, Level, Metric, Result, Stage, State, Verdict
from openforge.run_folder import RunFolder
from openforge.tools.locate import program

_LEVELS = {Status.BOUNDED: Level.WARNING, Status.UNKNOWN: Level.WARNING}


def run(params: FormalSection, design: Design, folder: RunFolder) -> Result:
    """The verdict of each property in the RTL and in `params.properties`, and what follows.

    Raises ToolMissing for an engine that is asked for and not installed, DesignError for a design
    that cannot be read, CheckFailedToRun for properties that would not be checked as written.
    """
    deadline = Deadline(params.timeout_seconds)
    for engine in params.engines:
        program(engine.split()[1] if engine.startswith("smtbmc") else "abc")
    field = "verification.formal.properties"
    listed = resolve_globs(design.project_dir, params.properties, field=field)
    files = tuple(path.resolve() for path in listed)  # slang and Yosys name what a link leads to
    whole = designs.load(design.project_dir, design.config, extra_sources=files)
    whole.require_elaborated()
    properties.require_usable(whole, files)
    if not any(found.kind.value != "assume" for found in whole.properties):
        return Result(
            check="formal",
            stage=Stage.FORMAL,
            verdict=Verdict.SKIPPED,
            reason="the design has no assertion and no cover point",
        )
    flat = netlist.read(whole, files, folder.work)
    named = properties.match(whole, flat.cells)
    model = build(flat, whole.top, params.depth)
    judged, reach = _check(params, model, named, folder, deadline)
    folder.table("properties", (entry.row() for entry in judged))
    return _conclude(params, model, named, judged, reach)


def _check(
    params: FormalSection,
    model: Model,
    named: tuple[Named, ...],
    folder: RunFolder,
    deadline: Deadline,
) -> tuple[tuple[Judged, ...], Reach]:
    """Proofs and reachability side by side, then the verdict of each property."""
    cells = model.netlist.cells
    asked = [
        item
        for item in named
        if item.kind == "cover" or (item.kind == "assert" and params.mode != "cover")
    ]
    events.progress(0, len(asked), "properties")
    provers = [
        Prover(model, params.engines, params.depth, judge.work_of(folder, name), deadline)
        for name in ("proofs", "reach")
    ]
    goals = [
        Goal(judge.goal_name(item), Aim.HOLDS, cells[item.index])
        for item in asked
        if item.kind == "assert" and not vacuity.constant(cells[item.index])
    ]
    wanted = vacuity.goals([cells[i] for i in range(len(cells))])
    with ThreadPoolExecutor(1) as pool:
        reaching = pool.submit(vacuity.examine, provers[1], wanted)
        proofs = provers[0].decide(goals, prove=params.mode != "bmc")
        events.progress(len(goals), len(asked), "properties")
        reach = reaching.result()
    if provers[0].contradiction is not None and reach.contradiction is None:
        reach = Reach(reach.outcomes, provers[0].contradiction)
    _refuse_contradiction(proofs, provers[0].failed_somewhere)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # each replays what was found
        judged = tuple(
            pool.map(lambda i: judge.judge(i, cells[i.index], proofs, reach, folder), asked)
        )
    events.progress(len(asked), len(asked), "properties")
    return judged, reach


def _refuse_contradiction(proofs: dict[str, Outcome], failed: set[str]) -> None:
    both = sorted(n for n, o in proofs.items() if o.word is Word.PROVEN and n in failed)
    if both:
        raise CheckFailedToRun(
            f"internal contradiction: one engine proved and another refuted {', '.join(both)}"
        )


def _conclude(
    params: FormalSection,
    model: Model,
    named: tuple[Named, ...],
    judged: tuple[Judged, ...],
    reach: Reach,
) -> Result:
    counts = Counter(entry.status for entry in judged)
    bad = sum(counts[status] for status in BAD)
    opened = counts[Status.BOUNDED] + counts[Status.UNKNOWN]
    broken = [entry for entry in judged if entry.broken]
    unchecked = sum(item.kind == "assert" for item in named) if params.mode == "cover" else 0
    verdict = Verdict.FAILED if bad else Verdict.INCONCLUSIVE if opened else Verdict.PASSED
    if verdict is Verdict.PASSED and unchecked:
        verdict = Verdict.INCONCLUSIVE
    state = State.ERROR if broken else State.DONE
    return Result(
        check="formal",
        stage=Stage.FORMAL,
        state=state,
        verdict=None if broken else verdict,
        reason=_reason(verdict, judged, unchecked),
        bounds=_bounds(params, judged, reach),
        assumptions=_assumptions(model, named),
        findings=tuple(_finding(e) for e in judged if e.status not in judge.GOOD),
        metrics=tuple(
            Metric(name=f"properties_{status.value}", value=counts[status]) for status in Status
        ),
        summary={
            "properties_proven": counts[Status.PROVEN] + counts[Status.COVERED],
            "properties_failed": bad,
            "properties_inconclusive": opened + unchecked,
        },
    )


def _reason(verdict: Verdict, judged: tuple[Judged, ...], unchecked: int) -> str:
    broken = next((entry for entry in judged if entry.broken), None)
    if broken:
        return f"no engine could answer for {broken.named.name}: {broken.message}"
    if verdict is Verdict.PASSED:
        return ""
    wanted = BAD if verdict is Verdict.FAILED else tuple(_LEVELS)
    named = [f"{e.named.name} {e.status.value} ({e.message})" for e in judged if e.status in wanted]
    if not named:
        return f"mode is 'cover': {unchecked} assertions were not checked"
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return "; ".join(named[:3]) + more


def _bounds(params: FormalSection, judged: tuple[Judged, ...], reach: Reach) -> tuple[str, ...]:
    depths = [e.depth for e in judged if e.status is Status.PROVEN and e.depth]
    found = [f"induction depth {max(depths)}"] if depths else []
    return (
        *found,
        f"bounded search and reachability: {params.depth} cycles",
        *([reach.bound] if reach.bound else []),
        f"engines: {', '.join(params.engines)}; time limit {params.timeout_seconds} s",
    )


def _assumptions(model: Model, named: tuple[Named, ...]) -> tuple[str, ...]:
    texts = ["registers without an initial value start with any value"]
    for reset in model.netlist.resets:
        level = "low" if reset.active_low else "high"
        texts.append(f"{reset.signal} is {level} (active) in cycle 0 and free from then on")
    if any(model.skips_first(cell) for cell in model.netlist.cells):
        texts.append(
            "properties of registers without an initial value are checked from cycle 1, the first "
            "after the synchronous reset"
        )
    if model.netlist.multiclock:
        texts.append("several clocks or edges: a cycle is a step of time, clocks are free inputs")
    elif model.netlist.clock:
        texts.append(
            f"a cycle is a period of {model.netlist.clock}; asynchronous resets and "
            "latches act once a cycle (async2sync)"
        )
    return (*texts, *(properties.assumption(item) for item in named if item.kind == "assume"))


def _finding(entry: Judged) -> Finding:
    return Finding(
        rule=f"property-{entry.status.value}",
        level=_LEVELS.get(entry.status, Level.ERROR),
        message=f"{entry.named.name}: {entry.message}",
        location=entry.named.location,
        excerpt=entry.named.excerpt,
        tool=entry.engine,
        evidence=(f"artifacts/{entry.waveform}",) if entry.waveform else (),
    )
