"""From tests to the result: verdict, bounds, assumptions, findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from openforge import native
from openforge.analysis import detection, multiplicity
from openforge.engines.side_channel import gathering
from openforge.engines.side_channel.attacking import Attacked
from openforge.engines.side_channel.findings import findings
from openforge.engines.side_channel.localising import beginning
from openforge.engines.side_channel.roles import reached
from openforge.engines.side_channel.subject import Subject
from openforge.engines.side_channel.writing import Places
from openforge.model import Metric, Result, Stage, Verdict
from openforge.schema_crypto import SideChannelSection

if TYPE_CHECKING:
    from openforge.engines.side_channel.checking import Looked

SMALL_EFFECT = 0.2
"""Difference of means, in standard deviations, that a passed check must be able to find: what
Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), calls small."""

_TESTS = {"power": "power", "net": "single nets", "probing set": "probing sets"}
_UNITS = {
    "hamming_distance": "nets whose settled value changes in a cycle",
    "hamming_weight": "nets whose settled value is 1",
    "toggle_count": "changes in a cycle, glitches included; every gate has a delay of one",
}


def skipped(reason: str) -> Result:
    """The result of a check without a subject."""
    return Result(check="side_channel", stage=Stage.CRYPTO, verdict=Verdict.SKIPPED, reason=reason)


def conclude(
    params: SideChannelSection,
    subject: Subject,
    looked: Looked,
    places: Places,
    *,
    attacked: Attacked | None,
) -> Result:
    """The result of a simulated design."""
    why = _leak(looked, places, attacked)
    doubt = "" if why else "; ".join(_doubts(params, subject, looked))
    verdict = Verdict.FAILED if why else Verdict.INCONCLUSIVE if doubt else Verdict.PASSED
    return Result(
        check="side_channel",
        stage=Stage.CRYPTO,
        verdict=verdict,
        reason=why or doubt,
        bounds=tuple(_bounds(params, subject, looked)),
        assumptions=tuple(_assumptions(params, subject, looked)),
        findings=tuple(findings(params, looked, places, attacked)),
        metrics=tuple(_metrics(params, looked)),
        summary={"max_t_value": round(largest_t(looked), 4), "threshold": params.tvla_threshold},
    )


def largest_t(looked: Looked) -> float:
    """The largest |t| of all cycles, orders and campaigns."""
    return max(float(np.abs(found.t.t).max(initial=0.0)) for found in looked.assessed)


def corrected_threshold(params: SideChannelSection, looked: Looked) -> float:
    """What |t| of one of the tests of power must exceed, all tests together having one level."""
    share = multiplicity.level_of(params.tvla_threshold) / len(looked.families)
    return multiplicity.corrected_threshold(share, looked.families["power"].n_tests)


def smallest_effect(params: SideChannelSection, looked: Looked) -> float:
    """The difference of means, in standard deviations, that is found in 9 of 10 cases."""
    threshold = corrected_threshold(params, looked)
    sizes = [gathering.class_sizes(found.power) for found in looked.assessed]
    return max(detection.smallest_effect(*size, threshold) for size in sizes)


def _leak(looked: Looked, places: Places, attacked: Attacked | None) -> str:
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
    if attacked and attacked.recovered:
        positions = ", ".join(map(str, attacked.recovered))
        said.append(
            f"{attacked.target} recovers key byte {positions} from {attacked.n_traces} traces"
        )
    return "; ".join(said)


def _doubts(params: SideChannelSection, subject: Subject, looked: Looked) -> Iterator[str]:
    """Why finding nothing says too little."""
    moved = frozenset[int]().union(*(found.moved for found in looked.assessed))
    registers = reached(subject.gates, subject.roles.carriers)
    if not moved or (registers and moved.isdisjoint(registers)):
        what = "no register that the secrets reach" if moved else "no net"
        yield f"{what} changes in any trace: is the reset's active level right, is there a start?"
        return
    yield from subject.how.doubts
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


def _bounds(params: SideChannelSection, subject: Subject, looked: Looked) -> Iterator[str]:
    for found in looked.assessed:
        fixed, random = gathering.class_sizes(found.power)
        yield f"{found.n_traces} traces, {found.campaign.name}: {fixed} fixed, {random} random"
    orders = ", ".join(str(order) for order in looked.assessed[0].t.orders)
    yield f"orders {orders}; power: {_UNITS[params.power_model]}"
    if params.noise_stddev:
        yield (
            f"Gaussian noise with a standard deviation of {params.noise_stddev:g} on the power of "
            "every cycle; nets and probing sets are tested without noise"
        )
    level = multiplicity.level_of(params.tvla_threshold)
    sizes = ", ".join(f"{_TESTS[f.name]}: {f.n_tests}" for f in looked.families.values())
    yield (
        f"family-wise level {level:.2g}, that of a single |t| > {params.tvla_threshold:g}, for all "
        f"tests together ({sizes}): |t| of power must exceed "
        f"{corrected_threshold(params, looked):.2f}"
    )
    yield (
        f"a difference of {smallest_effect(params, looked):.3f} standard deviations of the power "
        "is found with a probability of 90 %"
    )
    yield from subject.how.said
    yield _probing(looked)
    if looked.compared:
        yield f"a pair of traces replayed on Verilator: {looked.compared} values, all the same"
    if looked.planted is not None:
        yield f"self-check: a planted leak was {'' if looked.planted else 'not '}found"
    yield f"simulated by {native.describe()}; 512 traces of each campaign by numpy too: the same"


def _probing(looked: Looked) -> str:
    first = looked.assessed[0]
    tested = f"single nets with {first.n_tested} traces of each campaign"
    if first.probes is None:
        return (
            f"tested: {tested}; no probing sets, so that nothing is said of glitches beyond power"
        )
    sets = first.probes
    text = f"tested: {tested}, and {len(sets.sets)} probing sets"
    if sets.hashed:
        text += f" ({sets.hashed} of them with hashed values, and pairs of their signals)"
    if sets.left_out:
        text += f"; {sets.left_out} sets were left out, as there are too many or they are too wide"
    return text


def _assumptions(params: SideChannelSection, subject: Subject, looked: Looked) -> Iterator[str]:
    roles = subject.roles
    yield (
        "the netlist is that of the source, operator by operator, without optimisation; every net "
        "weighs the same; x, and what nothing drives, is 0; the clock's own power is left out"
    )
    yield "one operation, the first after a reset; inputs are held, randoms are fresh in each cycle"
    secrets = [carrier.text for carrier in roles.secrets]
    secrets += [
        f"{s.name} in {len(s.of)} uniform shares" + (f" modulo {s.modulus}" if s.modulus else "")
        for s in roles.sharings
    ]
    yield f"secret: {', '.join(secrets)}"
    if params.test == "fixed_vs_random":
        yield "fixed secrets: 0 where public inputs are fixed, or first; else a random value"
    else:
        yield "compared are the values of those secret bits only that the campaigns are named after"
    if roles.randoms:
        yield f"uniform and independent: {', '.join(c.text for c in roles.randoms)}"
    if roles.data:
        yield f"public: {', '.join(c.text for c in roles.data)}"
    yield from (f"interface.assume is not used for stimuli: {t}" for t in subject.interface.assume)
    if params.power_model != "toggle_count":
        yield "glitches have no power in this model (power_model: toggle_count has them)"
    yield (
        "not covered: coupling, layout, other delays, other orders, several cycles together, other "
        "operations; noise-free simulation says what leaks, not how many measured traces it takes"
    )


def _metrics(params: SideChannelSection, looked: Looked) -> Iterator[Metric]:
    first = looked.assessed[0]
    yield Metric(name="traces", value=sum(found.n_traces for found in looked.assessed))
    yield Metric(name="nets", value=first.settled_tape.n_counted)
    yield Metric(name="cycles", value=int(first.t.t.shape[1]), unit="cycles")
    yield Metric(name="tests", value=looked.n_tests)
    level = multiplicity.level_of(params.tvla_threshold)
    yield Metric(name="family_wise_level", value=float(f"{level:.3g}"))
    yield Metric(name="corrected_threshold", value=round(corrected_threshold(params, looked), 4))
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
