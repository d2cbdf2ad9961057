"""From tests to the result: verdict, bounds, assumptions, findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from openforge.analysis import detection, multiplicity
from openforge.engines.side_channel.findings import findings
from openforge.engines.side_channel.localising import beginning
from openforge.engines.side_channel.stating import assumptions, bounds
from openforge.engines.side_channel.strength import (
    corrected_threshold,
    largest_t,
    smallest_effect,
)
from openforge.engines.side_channel.subject import Subject
from openforge.engines.side_channel.writing import Places
from openforge.model import Metric, Result, Stage, Verdict
from openforge.schema_crypto import SideChannelSection

if TYPE_CHECKING:
    from openforge.engines.side_channel.checking import Looked

SMALL_EFFECT = 0.2
"""Difference of means, in standard deviations, that a passed check must be able to find: what
Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), calls small."""


def skipped(reason: str) -> Result:
    """The result of a check without a subject."""
    return Result(check="side_channel", stage=Stage.CRYPTO, verdict=Verdict.SKIPPED, reason=reason)


def conclude(
    params: SideChannelSection,
    subject: Subject,
    looked: Looked,
    places: Places,
) -> Result:
    """The result of a simulated design."""
    why = _leak(looked, places)
    doubt = "" if why else "; ".join(_doubts(params, subject, looked))
    verdict = Verdict.FAILED if why else Verdict.INCONCLUSIVE if doubt else Verdict.PASSED
    return Result(
        check="side_channel",
        stage=Stage.CRYPTO,
        verdict=verdict,
        reason=why or doubt,
        bounds=tuple(bounds(params, subject, looked)),
        assumptions=tuple(assumptions(params, subject)),
        findings=tuple(findings(params, looked, places)),
        metrics=tuple(_metrics(params, looked)),
        summary={"max_t_value": round(largest_t(looked), 4), "threshold": params.tvla_threshold},
    )


def _leak(looked: Looked, places: Places) -> str:
    """Why the design leaks, in a sentence; empty if nothing was found."""
    said = []
    if looked.rejected:
        best, order, cycle = looked.strongest
        t = best.t.t[best.t.orders.index(order), cycle]
        said.append(
            f"the power of cycle {cycle} depends on the secrets: |t| = {abs(t):.1f} "
            f"(order {order}, {best.campaign.name})"
        )
    for kind in ("net", "probing set"):
        found = [suspect for suspect in looked.leaking if suspect.kind == kind]
        if found:
            place = places.location(found[0].net)
            at = f" ({place})" if place else ""
            what = f"{kind}s that depend" if len(found) > 1 else f"{kind} that depends"
            said.append(
                f"{len(found)} {what} on them, the strongest at {places.name(found[0].net)}{at} in "
                f"cycle {found[0].cycle}"
            )
    if looked.leaking:
        first = beginning(looked.leaking)
        begins = places.location(first.net)
        at = f" ({begins})" if begins else ""
        said.append(f"it begins in cycle {first.first} at {places.name(first.net)}{at}")
    if looked.attacked and looked.recovered:
        positions = ", ".join(map(str, looked.recovered))
        said.append(
            f"{looked.attacked.target} recovers key byte {positions} from "
            f"{looked.attacked.n_traces} traces"
        )
    return "; ".join(said)


def _doubts(params: SideChannelSection, subject: Subject, looked: Looked) -> Iterator[str]:
    """Why finding nothing says too little."""
    yield from subject.how.doubts
    yield from looked.covered.doubts if looked.covered else ()
    sums = [sharing.name for sharing in subject.roles.sharings if sharing.modulus]
    if params.test == "random_vs_random" and sums:
        yield f"secrets shared by sums were not compared ({', '.join(sums)}): use fixed_vs_random"
    left_out = sum(found.probes.left_out for found in looked.assessed if found.probes)
    if left_out:
        yield f"{left_out} probing sets, too many or too wide, were not looked at"
    largest, corrected = largest_t(looked), corrected_threshold(params, looked)
    if largest > params.tvla_threshold:
        yield (
            f"|t| = {largest:.2f} is above {params.tvla_threshold:g}, and below {corrected:.2f}, "
            f"which is the threshold for all {looked.n_tests} tests together; more traces decide"
        )
    effect = smallest_effect(params, looked)
    if effect > SMALL_EFFECT:
        needed = detection.required_traces(SMALL_EFFECT, corrected)
        yield (
            f"too few traces: a difference of {effect:.2f} standard deviations would be found, and "
            f"{SMALL_EFFECT:g} is asked for; set side_channel.num_traces to {_rounded(needed)} "
            "or more"
        )
    elif looked.planted is False:
        yield "the self-check failed: a leak that was planted into the netlist was not found"


def _rounded(count: int) -> int:
    """A count rounded up to two digits."""
    step = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // step) * step


def _metrics(params: SideChannelSection, looked: Looked) -> Iterator[Metric]:
    first = looked.assessed[0]
    yield Metric(name="traces", value=sum(found.n_traces for found in looked.assessed))
    yield Metric(name="nets", value=first.settled_tape.n_counted)
    yield Metric(name="cycles", value=int(first.t.t.shape[1]), unit="cycles")
    yield Metric(name="tests", value=looked.n_tests)
    level = multiplicity.level_of(params.tvla_threshold)
    yield Metric(name="family_wise_level", value=float(f"{level:.3g}"))
    yield Metric(name="corrected_threshold", value=round(corrected_threshold(params, looked), 4))
    if 1 in params.orders:
        effect = smallest_effect(params, looked)
        yield Metric(name="smallest_effect", value=round(effect, 5), unit="standard deviations")
    if looked.rejected:
        best, order, cycle = looked.strongest
        t = float(best.t.t[best.t.orders.index(order), cycle])
        traces = detection.traces_to_detect(t, best.n_traces, params.tvla_threshold)
        if traces is not None:
            yield Metric(name="traces_to_detect", value=traces, unit="traces")


def tvla(result: Result, params: SideChannelSection, looked: Looked) -> Mapping[str, object]:
    """The head of ``tvla_results.json``."""
    return {
        "status": str(result.verdict),
        **result.summary,
        "corrected_threshold": corrected_threshold(params, looked),
        "family_wise_level": multiplicity.level_of(params.tvla_threshold),
        "tests": looked.n_tests,
        "test": params.test,
        "power_model": params.power_model,
        "noise_stddev": params.noise_stddev,
        "seed": params.seed,
    }
