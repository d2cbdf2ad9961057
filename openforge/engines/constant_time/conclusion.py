"""From what was found to the result: verdict, bounds, assumptions, findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from openforge.analysis.latency import Latency
from openforge.engines.constant_time import vacuity
from openforge.engines.constant_time.asking import Asked
from openforge.engines.constant_time.cascade import Cascade, Word
from openforge.engines.constant_time.leaking import STIMULI, WAVES, Told
from openforge.interface import Interface
from openforge.model import Finding, Level, Metric, Result, Stage, Verdict
from openforge.schema_crypto import ConstantTimeSection

if TYPE_CHECKING:
    from openforge.engines.constant_time.checking import Looked

_MOST_NAMED = 8
_MOST_LATENCIES = 6


def conclude(
    params: ConstantTimeSection,
    interface: Interface,
    asked: Asked,
    found: Cascade,
    *,
    looked: Looked,
    told: Told | None,
) -> Result:
    """The result of a decided question.

    A proof counts only if the question was not empty and, unless switched off, if a planted leak
    was found.
    """
    empty = list(_empty(interface, asked, looked)) if found.word is not Word.LEAK else []
    verdict, reason = _verdict(params, found, told, empty)
    return Result(
        check="constant_time",
        stage=Stage.CRYPTO,
        verdict=verdict,
        reason=reason,
        bounds=tuple(_bounds(params, interface, found, looked)),
        assumptions=tuple(_assumptions(params, interface, asked)),
        findings=(*_findings(found, told, empty), *_not_observed(interface)),
        metrics=tuple(_metrics(asked, found, looked.latency)),
        summary={"violations": len(told.violated) if told else 0},
    )


def contradictory(interface: Interface, why: str) -> Result:
    """The result where assumptions exclude every run."""
    texts = "; ".join(interface.assume)
    return Result(
        check="constant_time",
        stage=Stage.CRYPTO,
        verdict=Verdict.INCONCLUSIVE,
        reason=f"the assumptions contradict each other, so that they exclude every run: {why}",
        assumptions=(f"interface.assume: {texts}",),
        summary={"violations": 0},
    )


def _verdict(
    params: ConstantTimeSection, found: Cascade, told: Told | None, empty: list[str]
) -> tuple[Verdict, str]:
    if found.word is Word.LEAK:
        assert told is not None and told.explanation is not None
        return Verdict.FAILED, told.explanation.sentence(len(told.differing))
    if found.word is Word.PROVED and not empty:
        return Verdict.PASSED, ""
    if found.word is Word.PROVED:
        return Verdict.INCONCLUSIVE, f"the proof says too little: {'; '.join(empty)}"
    if found.depth:
        reason = f"no difference in the first {found.depth} cycles, and no proof beyond"
    else:
        reason = "neither a proof nor a difference was found"
    limit = f"time limit {params.timeout_seconds:g} s, depth {params.depth}"
    return Verdict.INCONCLUSIVE, "; ".join([f"{reason} ({limit})", *empty])


def _empty(interface: Interface, asked: Asked, looked: Looked) -> Iterator[str]:
    """What makes the answer say less than it seems to."""
    for signal in asked.free:
        yield f"every bit of the secret {signal.bits.text} is declassified or assumed to be public"
    for text in vacuity.unreached(asked):
        yield f"the secret {text} reaches no output of the design"
    if looked.planted and looked.planted.empty:
        yield f"the self-check could not be made: {looked.planted.said}"
    if not looked.seen.cycles:
        yield "no run of the design could be simulated to see whether anything observed can change"
        return
    if not looked.seen.alive:
        yield "the assumptions left no run of the design to its end"
        return
    if len(looked.fixed) == len(asked.observed) and not looked.seen.moved and interface.reset:
        level = "low" if interface.reset.active_low else "high"
        yield (
            f"the reset never ends: with {interface.reset.signal} no longer {level}, nothing in "
            "the design changes; is its active level right?"
        )
        return
    for text in looked.fixed:
        yield f"the observable {text} can never change"
    if looked.doubtful and len(looked.fixed + looked.doubtful) == len(asked.observed):
        yield f"no observable was seen to change: {', '.join(looked.doubtful)}"


def _bounds(
    params: ConstantTimeSection, interface: Interface, found: Cascade, looked: Looked
) -> Iterator[str]:
    if found.word is Word.PROVED:
        limited = interface.assume or interface.constants or interface.declassify
        inputs = "all inputs that the assumptions allow" if limited else "all inputs"
        yield f"all cycles, {inputs}, all secrets; proved by {found.by}"
    elif found.word is Word.LEAK:
        yield f"one pair of runs, found by {found.by} and replayed on Verilator"
    else:
        yield f"bounded search: {found.depth} of {params.depth} cycles"
        yield from (
            f"{step.name}: {step.message}" for step in found.steps if "pairs" in step.message
        )
    yield f"time limit {params.timeout_seconds:g} s"
    yield f"self-check: {looked.planted.said if looked.planted else 'switched off'}"
    if looked.doubtful:
        yield f"not seen to change in random runs: {', '.join(looked.doubtful)}"
    if looked.latency:
        yield latency_text(looked.latency)
    elif interface.done_cycles:
        yield f"latency: {interface.done_cycles} cycles, as the interface says; not measured"


def latency_text(latency: Latency) -> str:
    """What was seen of the number of cycles of an operation."""
    runs = sum(latency.counts.values())
    if not runs:
        return f"latency: no operation was seen to end within {latency.limit} cycles"
    shown = ", ".join(str(cycles) for cycles in latency.seen[:_MOST_LATENCIES])
    if len(latency.seen) > _MOST_LATENCIES:
        shown += f", ... {latency.seen[-1]}"
    text = f"latency in {runs} random operations after a reset, start to done, in cycles: "
    text += latency.law or shown
    if latency.law and latency.law != shown:
        text += f" ({'later ones' if len(latency.counts) == 1 else 'seen'}: {shown})"
    if latency.depends_on:
        text += f"; depends on {', '.join(latency.depends_on)}"
    if latency.endless:
        text += f"; {latency.endless} more did not end within {latency.limit} cycles"
    return text


def _assumptions(params: ConstantTimeSection, interface: Interface, asked: Asked) -> Iterator[str]:
    yield (
        "an attacker sees in every cycle "
        + ", ".join(s.bits.text for s in asked.observed)
        + "; what happens within a cycle is not looked at"
    )
    if interface.unobserved:
        yield f"data, whose values are not compared: {', '.join(interface.unobserved)}"
    yield f"secret: {', '.join(s.bits.text for s in asked.secrets)}"
    yield "all other inputs, randomness included, are the same in both copies"
    if params.strict:
        yield "registers without an initial value may differ before the reset (strict)"
    else:
        yield "registers and memories have the same contents in both copies at power-up"
    if interface.reset:
        reset = interface.reset
        level = "low" if reset.active_low else "high"
        yield f"{reset.signal} is {level} (active) in the first {reset.cycles} cycles, then free"
    yield "nets without a driver and x may have any value, and another one in each copy"
    yield from (f"{name} = {value}" for name, value in interface.constants.items())
    yield from (f"assumed in every cycle: {text}" for text in interface.assume)
    yield from (
        f"{entry.bits.text} may depend on secrets ({entry.reason}); runs are compared as long as "
        "it is the same in both"
        for entry in interface.declassify
    )


def _findings(found: Cascade, told: Told | None, empty: list[str]) -> Iterator[Finding]:
    for text in empty:
        yield Finding(rule="vacuous-proof", level=Level.WARNING, message=text, tool="constant_time")
    if told is None:
        return
    if found.word is Word.LEAK:
        assert told.explanation is not None
        decision = told.explanation.decision or told.stations[-1]
        names = ", ".join(told.differing[:_MOST_NAMED])
        if len(told.differing) > _MOST_NAMED:
            names += f" and {len(told.differing) - _MOST_NAMED} more"
        yield Finding(
            rule="timing-leak",
            level=Level.ERROR,
            message=f"{told.explanation.sentence(len(told.differing))}. Secret bits that differ: "
            f"{names}. Observables that differ: {', '.join(told.violated)}. Replayed on Verilator",
            location=decision.location,
            tool=found.by,
            evidence=tuple(f"artifacts/{name}" for name in (*WAVES, STIMULI)),
        )
    elif told.stations:
        first, last = told.stations[0], told.stations[-1]
        yield Finding(
            rule="possible-flow",
            level=Level.WARNING,
            message=f"{last.signal} may depend on {first.signal}: neither a proof nor a leak was "
            "found; the way is in the table 'flow'",
            location=last.location,
            tool="word-level taint",
        )


def _not_observed(interface: Interface) -> Iterator[Finding]:
    """Outputs that were taken for data by their names alone: a reader should know."""
    if interface.unobserved and any(e.field == "observables" for e in interface.inferred):
        yield Finding(
            rule="not-observed",
            level=Level.NOTE,
            message=f"taken for data, and not compared: {', '.join(interface.unobserved)}; name "
            "what an attacker can time in interface.observables",
            tool="constant_time",
        )


def _metrics(asked: Asked, found: Cascade, latency: Latency | None) -> Iterator[Metric]:
    yield Metric(name="cells", value=len(asked.question.graph.cells))
    yield Metric(name="observed_bits", value=len(asked.question.observed))
    if found.leak:
        yield Metric(name="leak_cycle", value=found.leak.cycle, unit="cycles")
    if latency and latency.seen:
        yield Metric(name="latency_min", value=latency.seen[0], unit="cycles")
        yield Metric(name="latency_max", value=latency.seen[-1], unit="cycles")


def step_rows(found: Cascade) -> Iterator[Mapping[str, object]]:
    """The table ``steps``."""
    for number, step in enumerate(found.steps):
        yield {
            "position": number,
            "step": step.name,
            "answer": step.answer,
            "duration_s": step.duration_s,
            "message": step.message,
        }


def latency_rows(latency: Latency | None) -> Iterator[Mapping[str, object]]:
    """The table ``latencies``."""
    if latency:
        for after_reset, counts in ((True, latency.counts), (False, latency.later)):
            for cycles, operations in counts.items():
                yield {"cycles": cycles, "operations": operations, "after_reset": after_reset}
