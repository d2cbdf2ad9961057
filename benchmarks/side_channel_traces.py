"""Statistics of stored traces: G samples a second, and beside other ways to the same t."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from side_channel_subjects import Row

from openforge.analysis import trace_statistics

_TRACES, _SAMPLES = 40_000, 2_000
_THREADS, _REPEATED = 2, 5
_SLICE = 8  # of the traces, for what is slow


def rows(less: int) -> Iterator[Row]:
    """Order 1 and orders 1 to 3 of uint8 traces; numpy in float64, twice over the traces."""
    draw = np.random.default_rng(1)
    count = max(512, _TRACES // less)
    traces = draw.integers(0, 256, (count, _SAMPLES), dtype=np.uint8)
    classes = draw.integers(0, 2, count).astype(np.uint8)
    rates = {}
    for order, target in ((1, 10.0), (3, 3.0)):
        rates[order] = _rate(traces, partial(_ours, classes=classes, order=order))
        said = "order 1" if order == 1 else "orders 1 to 3"
        what = f"uint8 traces, {said}, {_THREADS} threads"
        yield Row(what, rates[order], "G samples/s", target, up=True)
    few = traces[: count // _SLICE]
    plain = _rate(few, partial(_two_passes, classes=classes))
    yield Row("numpy, float64, two passes, order 1", plain, "G samples/s")
    yield Row("times numpy", rates[1] / plain, "x")
    for name in ("scared", "scalib"):
        if importlib.util.find_spec(name) is None:
            continue
        other = _rate(few, partial(_OTHERS[name], classes=classes))
        yield Row(f"{name}, order 1", other, "G samples/s")
        yield Row(f"times {name}", rates[1] / other, "x")


def _rate(traces: NDArray[np.uint8], work: Callable[[NDArray[np.uint8]], object]) -> float:
    """G samples a second of `work`, the best of several times."""
    times = []
    for _ in range(_REPEATED):
        began = time.perf_counter()
        work(traces)
        times.append(time.perf_counter() - began)
    return traces.size / min(times) / 1e9


def _ours(traces: NDArray[np.uint8], classes: NDArray[np.uint8], order: int) -> object:
    return trace_statistics.collect(traces, classes[: len(traces)], order=order, threads=_THREADS)


def _two_passes(traces: NDArray[np.uint8], classes: NDArray[np.uint8]) -> object:
    numbers = traces.astype(np.float64)
    labels = classes[: len(traces)]
    first, second = numbers[labels == 0], numbers[labels == 1]
    spread = first.var(axis=0) / len(first) + second.var(axis=0) / len(second)
    return (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(spread)


def _scared(traces: NDArray[np.uint8], classes: NDArray[np.uint8]) -> object:
    import scared  # type: ignore[import-not-found]  # only where it is installed

    labels = classes[: len(traces)]
    both = [scared.traces.read_ths_from_ram(traces[labels == n]) for n in (0, 1)]
    found = scared.TTestContainer(*both)
    analysis = scared.TTestAnalysis()
    analysis.run(found)
    return analysis.result


def _scalib(traces: NDArray[np.uint8], classes: NDArray[np.uint8]) -> object:
    from scalib.metrics import Ttest  # type: ignore[import-not-found]  # only where installed

    found = Ttest(d=1)
    found.fit_u(traces.astype(np.int16), classes[: len(traces)].astype(np.uint16))
    return found.get_ttest()


_OTHERS = {"scared": _scared, "scalib": _scalib}
