"""Measured traces through the same statistics: nothing is simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from openforge import events
from openforge.analysis import detection, multiplicity, trace_statistics, welch
from openforge.analysis.trace_statistics import Statistics
from openforge.analysis.welch import Moments, TValues
from openforge.config import resolve_globs
from openforge.design import Design
from openforge.engines.side_channel import writing
from openforge.engines.side_channel.assessing import Progress, largest
from openforge.engines.side_channel.conclusion import SMALL_EFFECT
from openforge.engines.side_channel.writing import Campaigned
from openforge.errors import CheckFailedToRun
from openforge.model import Finding, Level, Metric, Result, Stage, Verdict
from openforge.run_folder import RunFolder
from openforge.schema_crypto import SideChannelSection
from openforge.tools import traces as reading
from openforge.tools.traces import Imported

SERIES = "measured"
_FIRST = 1000  # traces after which t is looked at first
_ENOUGH = 100  # traces of each class below which p is too rough for a verdict
_FEW_RUNS = 5.0  # standard deviations below the mean: a chance of 3e-7


@dataclass(frozen=True)
class Measured:
    """The tests of measured traces. `log10_p` is what a single one must exceed to reject."""

    imported: Imported
    moments: Moments
    t: TValues
    log10_p: float


def run(params: SideChannelSection, design: Design, folder: RunFolder) -> Result:
    """Whether the measured traces of both classes differ.

    Raises OpenForgeError for files that cannot be read, CheckFailedToRun for a class without
    traces.
    """
    assert params.traces is not None
    if params.cpa is not None:
        raise CheckFailedToRun(
            "side_channel.cpa attacks simulated traces only; leave it out, or side_channel.traces"
        )
    project = design.project_dir
    path, *_ = resolve_globs(project, [params.traces], field="side_channel.traces")
    events.log(f"Reading the traces of {params.traces}")
    imported = reading.read(path, folder.work / "traces", project)
    assert imported.labels is not None  # asked for
    if min(np.bincount(imported.labels, minlength=2)) < 2:
        raise CheckFailedToRun("side_channel.traces: both classes need two traces or more")
    orders = tuple(sorted(set(params.orders)))
    progress: list[Progress] = []
    for traces, statistics in _growing(imported, max(orders)):
        if min(statistics.n) > 1:
            moments = trace_statistics.moments(statistics)
            t = welch.t_from_moments(moments, orders)
            progress += largest(traces, t)
    level = multiplicity.level_of(params.tvla_threshold)
    found = Measured(imported, moments, t, multiplicity.corrected_log10_p(level, t.t.size))
    folder.table("t_values", writing.t_rows(SERIES, t))
    folder.table("power", writing.power_rows(SERIES, moments))
    folder.table("t_progress", writing.progress_rows(SERIES, progress))
    result = _conclude(params, found)
    summary = {
        "status": str(result.verdict),
        **result.summary,
        "corrected_threshold": multiplicity.corrected_threshold(level, t.t.size),
        "family_wise_level": level,
        "tests": int(t.t.size),
        "test": params.test,
        "seed": None,
    }
    writing.artifacts(folder, [Campaigned(SERIES, len(imported.traces), t, moments)], summary)
    return result


def _growing(imported: Imported, order: int) -> Iterator[tuple[int, Statistics]]:
    """The statistics of the first traces, for numbers that double, and of all."""
    assert imported.labels is not None
    total = len(imported.traces)
    marks = [_FIRST << n for n in range(40) if _FIRST << n < total] + [total]
    so_far: list[Statistics] = []
    start = 0
    for end in marks:
        part = trace_statistics.collect(
            imported.traces[start:end], imported.labels[start:end], order=order
        )
        so_far = [reduce(trace_statistics.merge, [*so_far, part])]
        start = end
        yield end, so_far[0]


def _conclude(params: SideChannelSection, found: Measured) -> Result:
    t, (n_fixed, n_random) = found.t, found.moments.n.tolist()
    level = multiplicity.level_of(params.tvla_threshold)
    corrected = multiplicity.corrected_threshold(level, t.t.size)
    row, sample = np.unravel_index(t.log10_p.argmax(), t.log10_p.shape)
    finding = Finding(
        rule="power-leak",
        level=Level.ERROR,
        message=f"sample {sample} differs between the classes: t = {t.t[row, sample]:.1f} (order "
        f"{t.orders[row]})",
        tool="side_channel",
        evidence=tuple(f"artifacts/{name}" for name in (writing.TVLA, writing.POWER_TRACE)),
    )
    rejects = float(t.log10_p.max()) > found.log10_p
    doubt = _worthless(found) or ("" if rejects else _weak(params, found, corrected))
    leaks = rejects and not doubt
    seen = f"{finding.message}, but " if rejects and doubt else ""
    verdict = Verdict.FAILED if leaks else Verdict.INCONCLUSIVE if doubt else Verdict.PASSED
    effect = detection.smallest_effect(n_fixed, n_random, corrected)
    known = 1 in t.orders
    return Result(
        check="side_channel",
        stage=Stage.CRYPTO,
        verdict=verdict,
        reason=finding.message if leaks else seen + doubt,
        bounds=(
            f"{n_fixed + n_random} measured traces of {t.t.shape[1]} samples: {n_fixed} fixed, "
            f"{n_random} random; orders {', '.join(map(str, t.orders))}",
            f"family-wise level {level:.2g} for all {t.t.size} tests together: |t| must exceed "
            f"{corrected:.2f}",
            f"a difference of {effect:.3f} standard deviations is found with a probability of 90 %"
            if known
            else "how small an effect would be found is not known for these orders",
        ),
        assumptions=_assumptions(found),
        findings=(finding,) if leaks else (),
        metrics=(
            Metric(name="traces", value=n_fixed + n_random),
            Metric(name="tests", value=int(t.t.size)),
            Metric(name="family_wise_level", value=level),
            Metric(name="corrected_threshold", value=round(corrected, 4)),
            *[Metric(name="smallest_effect", value=round(effect, 5), unit="standard deviations")]
            * known,
        ),
        summary={
            "max_t_value": round(float(np.abs(t.t).max()), 4),
            "threshold": params.tvla_threshold,
        },
    )


def _assumptions(found: Measured) -> tuple[str, ...]:
    return (
        "traces are independent of each other: nothing in the file can show that",
        "the design itself was not simulated; side_channel fields that say how are not used",
        f"{_still(found.moments)} of {found.t.t.shape[1]} samples never vary",
        "not covered: orders other than those that were tested, several samples together",
    )


def _worthless(found: Measured) -> str:
    """Why the tests say nothing, whatever they say; empty if they do."""
    assert found.imported.labels is not None
    if min(found.moments.n) < _ENOUGH:
        return (
            f"too few traces: of one class there are fewer than {_ENOUGH}, so that p is approximate"
        )
    if _blocked(found.imported.labels):
        return (
            "the classes are not interleaved at random: there are fewer changes between them than "
            "chance gives, so that drift cannot be told from a leak, nor a leak from drift"
        )
    return ""


def _weak(params: SideChannelSection, found: Measured, corrected: float) -> str:
    """Why finding nothing says too little; empty if it says enough."""
    t, (n_fixed, n_random) = found.t, found.moments.n.tolist()
    largest_t = float(np.abs(t.t).max())
    if not found.moments.central[:, 0].any():
        return "the traces never vary, so that they say nothing"
    if largest_t > params.tvla_threshold:
        return (
            f"|t| = {largest_t:.2f} is above {params.tvla_threshold:g}, and below {corrected:.2f}, "
            f"the threshold for all {t.t.size} tests together; more traces decide"
        )
    effect = detection.smallest_effect(n_fixed, n_random, corrected)
    if effect > SMALL_EFFECT:
        return (
            f"too few traces: a difference of {effect:.2f} standard deviations would be found, and "
            f"{SMALL_EFFECT:g} is asked for"
        )
    return ""


def _still(moments: Moments) -> int:
    """How many samples are the same in all traces of each class."""
    return int((moments.central[:, 0] == 0).all(axis=0).sum())


def _blocked(labels: NDArray[np.uint8]) -> bool:
    """Whether classes alternate so rarely that their order cannot be random.

    The number of runs of equal labels has a known mean and variance when the order is random.
    *Source:* Wald and Wolfowitz, Annals of Mathematical Statistics 11 (1940), 147-162.
    """
    n = len(labels)
    ones = int(labels.sum())
    product = 2 * ones * (n - ones)
    runs = 1 + int((labels[1:] != labels[:-1]).sum())
    mean = product / n + 1
    variance = product * (product - n) / (n * n * (n - 1))
    return runs < mean - _FEW_RUNS * math.sqrt(max(variance, 0.0))
