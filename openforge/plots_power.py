"""Plots of power: t over cycles and over traces, both classes, correlations of a key."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from openforge.plain import plain
from openforge.plots import LIGHT, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_STYLES = ((LIGHT.good, "-"), (LIGHT.bad, "--"), (LIGHT.dim, ":"), (LIGHT.text, "-."))
_CLASSES = (("fixed class", *_STYLES[0]), ("random class", *_STYLES[1]))
_PANEL_IN = 1.75
_LEGEND_AT = (-0.008, -0.113)  # of the axes: on the line of the unit
_FEW = 60  # points that are marked one by one
_BUCKETS = 800  # about what a screen shows side by side
_FAR = 4.0  # times the threshold: from here on a linear scale would hide the threshold
_TICK_WIDTH = 7  # letters: plots below each other get the same left edge
_MOST_BINS = 120
_HUGE = 1e9


@dataclass(frozen=True)
class Line:
    """A line of a plot: a value at each place; None and NaN are gaps."""

    name: str
    places: Sequence[float]
    values: Sequence[float | None]


@dataclass(frozen=True)
class Thresholds:
    """What |t| is compared with: the plain threshold, and that for the number of tests."""

    plain: float | None = None
    corrected: float | None = None

    @property
    def known(self) -> tuple[float, ...]:
        """Those that there are, the smaller first; 4.5 (ISO/IEC 17825) when there is none."""
        return tuple(sorted(x for x in (self.plain, self.corrected) if x is not None)) or (4.5,)


@dataclass(frozen=True)
class Band:
    """Mean and standard deviation of a class, a value a cycle."""

    mean: Sequence[float | None]
    std: Sequence[float | None]


def t_over_cycles(lines: Sequence[Line], thresholds: Thresholds, *, unit: str, label: str) -> str:
    """t over cycles or samples; the value that is farthest from 0 is written beside it.

    Far above the thresholds the scale is logarithmic, so that the thresholds stay visible. Of many
    cycles each bucket shows its smallest and its largest value: no peak is lost.
    """

    def draw(axes: Axes) -> None:
        every = _curves(axes, lines)
        reach = 1.6 * thresholds.known[-1]
        _heights(axes, min([-reach, *every]), max([reach, *every]), thresholds)
        for sign in (1, -1):
            _bounds(axes, thresholds, sign)
        _peak(axes, lines, unit)
        _places(axes, [place for line in lines for place in line.places], room=0.16)
        _legend(axes, unit)

    return picture(draw, height_in=_PANEL_IN, label=label)


def t_over_traces(lines: Sequence[Line], thresholds: Thresholds, *, label: str) -> str:
    """The largest |t| over the number of traces, on a logarithmic scale of traces."""
    sizes = [Line(line.name, line.places, np.abs(_numbers(line.values)).tolist()) for line in lines]

    def draw(axes: Axes) -> None:
        every = _curves(axes, sizes)
        _heights(axes, 0.0, max([1.6 * thresholds.known[-1], *every]), thresholds)
        _bounds(axes, thresholds, 1)
        _traces(axes, lines)
        _legend(axes, "traces")

    return picture(draw, height_in=_PANEL_IN, label=label)


def mean_power(places: Sequence[float], fixed: Band, random: Band, *, unit: str, label: str) -> str:
    """Mean power of both classes over cycles, each in a band of one standard deviation."""
    kept = np.union1d(_kept(_numbers(fixed.mean)), _kept(_numbers(random.mean)))
    where = _numbers(places)[kept]

    def draw(axes: Axes) -> None:
        for (name, colour, dash), band in zip(_CLASSES, (fixed, random), strict=True):
            mean, std = _numbers(band.mean)[kept], _numbers(band.std)[kept]
            axes.fill_between(where, mean - std, mean + std, color=colour, alpha=0.15, lw=0)
            axes.plot(where, mean - std, where, mean + std, color=colour, ls=dash, lw=0.5)
            axes.plot(where, mean, color=colour, ls=dash, lw=1.5, label=name, **_marked(where))
        low, high = axes.get_ylim()
        _ticks(axes, MaxNLocator(nbins=4).tick_values(low, high), low, high)
        _places(axes, places, room=0.0)
        _legend(axes, unit)

    return picture(draw, height_in=_PANEL_IN, label=label)


def outlines(
    values: Sequence[float], fixed: Sequence[int], random: Sequence[int], *, unit: str, label: str
) -> str:
    """How often each class has each value, as outlines; shares of the class in percent."""
    edges = _edges(values)

    def draw(axes: Axes) -> None:
        top = 0.0
        for (name, colour, dash), counts in zip(_CLASSES, (fixed, random), strict=True):
            found, _ = np.histogram(values, bins=edges, weights=counts)
            share = 100 * found / (found.sum() or 1)
            top = max(top, share.max())
            axes.stairs(share, edges, color=colour, alpha=0.15, fill=True, lw=0)
            axes.stairs(share, edges, color=colour, ls=dash, lw=1.5, label=name)
        _ticks(axes, MaxNLocator(nbins=3).tick_values(0, top), 0, 1.08 * top or 1, " %")
        _legend(axes, unit)

    return picture(draw, height_in=_PANEL_IN, label=label)


def correlations(true: Sequence[Line], wrong: Sequence[Line], *, label: str) -> str:
    """|Correlation| of the true key of each byte, and of its best wrong guess, over traces."""

    def draw(axes: Axes) -> None:
        top = 0.0
        named = (("the true key", true), ("the best wrong guess", wrong))
        for (colour, dash), (name, lines) in zip(_STYLES, named, strict=False):
            for number, line in enumerate(lines):
                values = np.abs(_numbers(line.values))
                top = max(top, np.nanmax(values, initial=0.0))
                first = name if number == 0 else None
                axes.plot(line.places, values, color=colour, ls=dash, lw=1.0, label=first)
        _ticks(axes, MaxNLocator(nbins=4).tick_values(0, top), 0, 1.08 * top or 1)
        _traces(axes, [*true, *wrong], room=1.0)
        _legend(axes, "traces; a line a key byte")

    return picture(draw, height_in=_PANEL_IN, label=label)


def _numbers(values: Iterable[float | None]) -> NDArray[np.float64]:
    """The values as float64; NaN for what is missing, and what has no end ends far outside."""
    found = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return np.clip(found, -_HUGE, _HUGE)


def _kept(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the points to draw: of each bucket of many the smallest and the largest."""
    if len(values) <= 2 * _BUCKETS:
        return np.arange(len(values))
    chosen: set[int] = set()
    for part in np.array_split(np.arange(len(values)), _BUCKETS):
        known = part[~np.isnan(values[part])]
        if len(known):
            chosen |= {int(known[values[known].argmin()]), int(known[values[known].argmax()])}
    return np.array(sorted(chosen), dtype=np.int64)


def _marked(places: NDArray[np.float64]) -> dict[str, Any]:
    return {"marker": "o", "ms": 2.5} if len(places) <= _FEW else {}


def _curves(axes: Axes, lines: Sequence[Line]) -> list[float]:
    """Draw `lines`; all values that there are."""
    every: list[float] = []
    for line, (colour, dash) in zip(lines, itertools.cycle(_STYLES), strict=False):
        values = _numbers(line.values)
        kept = _kept(values)
        where = _numbers(line.places)[kept]
        name = plain(line.name)
        axes.plot(where, values[kept], color=colour, ls=dash, lw=1.3, label=name, **_marked(where))
        every += values[~np.isnan(values)].tolist()
    return every


def _heights(axes: Axes, low: float, high: float, thresholds: Thresholds) -> None:
    """Scale, limits and ticks for t: linear, or logarithmic outside of the thresholds."""
    edge = thresholds.known[-1]
    if max(-low, high) <= _FAR * edge:
        room = 0.18 * (high - low)
        ticks = MaxNLocator(nbins=4).tick_values(low, high)
        _ticks(axes, ticks, low - room if low < 0 else 0, high + room)
        return
    axes.set_yscale("symlog", linthresh=edge, linscale=1.0)
    axes.tick_params(which="minor", length=0)
    sizes = [10.0**power for power in range(1, 10) if 10.0**power > edge]
    step = -(-sum(size <= max(-low, high) for size in sizes) // 3) or 1
    decades = [*(-size for size in sizes[::step]), 0.0, *sizes[::step]]
    span = sum(1 + np.log10(max(end / edge, 1.0)) for end in (-low, high))
    room = 10 ** (0.2 * span)  # a share of the height, which grows with the logarithm
    _ticks(axes, decades, room * low, room * high)


def _ticks(axes: Axes, ticks: Any, low: float, high: float, unit: str = "") -> None:
    shown = [float(tick) for tick in ticks if low <= tick <= high]
    texts = [f"{tick:,.0f}" if abs(tick) >= 1000 else f"{tick:g}" for tick in shown]
    texts = [f"{text.replace('-', '−')}{unit}".rjust(_TICK_WIDTH) for text in texts]
    axes.set_yticks(shown, texts)
    axes.set_ylim(low, high)


def _bounds(axes: Axes, thresholds: Thresholds, sign: int) -> None:
    """Lines at both thresholds; their values are written at the upper ones."""
    drawn = ((thresholds.plain, "threshold", "--"), (thresholds.corrected, "corrected", "-"))
    for value, name, dash in drawn:
        if value is None:
            continue
        axes.axhline(sign * value, color=LIGHT.text, lw=0.9, ls=dash)
        if sign > 0:
            above = value == thresholds.known[-1]
            place = {"xy": (1.0, value), "xycoords": axes.get_yaxis_transform()}
            _beside(axes, f"{name} {value:.4g}", place, left=True, above=above)


def _peak(axes: Axes, lines: Sequence[Line], unit: str) -> None:
    """Write the value that is farthest from 0 beside it."""
    points = [
        (abs(value), value, place)
        for line in lines
        for place, value in zip(line.places, _numbers(line.values).tolist(), strict=True)
        if not np.isnan(value)
    ]
    if points:
        _, value, place = max(points)
        places = [place for _, _, place in points]
        left = place > (min(places) + max(places)) / 2
        text = f"{value:.4g} in {unit} {place:g}".replace("-", "−")
        _beside(axes, text, {"xy": (place, value)}, left=left, above=value >= 0)


def _beside(axes: Axes, text: str, place: dict[str, Any], *, left: bool, above: bool) -> None:
    axes.annotate(
        text,
        **place,
        xytext=(-2 if left else 2, 3 if above else -3),
        textcoords="offset points",
        ha="right" if left else "left",
        va="bottom" if above else "top",
        color=LIGHT.text,
        size=8,
    )


def _places(axes: Axes, places: Sequence[float], room: float) -> None:
    """An axis of cycles or samples, whole numbers, with room for words at its end."""
    left, right = min(places) - 0.5, max(places) + 0.5
    axes.set_xlim(left, right + room * (right - left))
    whole = MaxNLocator(nbins=8, integer=True).tick_values(left, right)
    axes.set_xticks([tick for tick in whole if left <= tick <= right])


def _traces(axes: Axes, lines: Sequence[Line], room: float = 1.2) -> None:
    """A logarithmic axis of numbers of traces, with room for words at its end."""
    places = [place for line in lines for place in line.places if place > 0]
    first, last = min(places, default=1), max(places, default=1)
    axes.set_xscale("log")
    axes.minorticks_off()
    decades = [10.0**power for power in range(13) if first <= 10.0**power <= last]
    ticks = decades if len(decades) > 1 else sorted({first, last})
    axes.set_xticks(ticks, [f"{int(tick):,}" for tick in ticks])
    span = max(last / first, 1.5)
    axes.set_xlim(first / span**0.02, first * span ** (room + 0.02))


def _legend(axes: Axes, unit: str) -> None:
    """The names of the lines, below the plot on the left, and the unit on the right."""
    axes.set_xlabel(plain(unit), color=LIGHT.dim, loc="right", parse_math=False)
    shown = axes.legend(
        loc="upper left",
        bbox_to_anchor=_LEGEND_AT,
        ncols=4,
        frameon=False,
        fontsize=8,
        labelcolor=LIGHT.text,
        handlelength=2.6,
    )
    for text in shown.get_texts():
        text.set_parse_math(False)


def _edges(values: Sequence[float]) -> NDArray[np.float64]:
    """Edges of bins around `values`: a bin a value, or whole numbers of them where many."""
    known = np.unique(np.asarray(values, dtype=float))
    step = float(np.diff(known).min()) if len(known) > 1 else 1.0
    count = (known[-1] - known[0]) / step + 1
    width = step * np.ceil(count / _MOST_BINS)
    return np.arange(known[0] - step / 2, known[-1] + step / 2 + 0.99 * width, width)
