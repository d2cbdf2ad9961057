"""Plots of a timing leak: waveforms of two runs, the way of a secret, how long operations take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from openforge.plain import plain
from openforge.plots import LIGHT, picture, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WAVE_IN = 0.5
_BEFORE, _AFTER = 12, 12  # cycles around what is shown
_LONGEST_VALUE = 9
_STATION_IN = 0.34


@dataclass(frozen=True)
class Wave:
    """A signal in both runs: one value a cycle, as hexadecimal text."""

    name: str
    first: Sequence[str]
    second: Sequence[str]

    @property
    def one_bit(self) -> bool:
        """Whether it is only ever 0 or 1."""
        return {*self.first, *self.second} <= {"0", "1"}


def waves(shown: Sequence[Wave], cycle: int, what: str) -> str:
    """Both runs of each signal, one above the other, around `cycle`; differences are shaded.

    The first run is blue and on top, the second orange and below; `what` happens in `cycle`.
    """
    start = max(0, cycle - _BEFORE)
    end = min(len(shown[0].first), cycle + _AFTER + 1)

    def draw(axes: Axes) -> None:
        for row, wave in enumerate(shown):
            for here in range(start, end):
                if wave.first[here] != wave.second[here]:
                    axes.barh(row, 1, left=here, height=0.9, color=LIGHT.faint)
            lanes = ((wave.first, LIGHT.good, row - 0.24), (wave.second, LIGHT.bad, row + 0.24))
            for values, colour, middle in lanes:
                draw_one = _line if wave.one_bit else _bus
                draw_one(axes, values[start:end], start, middle, colour)
        rows(axes, [wave.name for wave in shown])
        axes.axvline(cycle, color=LIGHT.text, lw=1.0, ls=":")
        axes.set_xlim(start, end)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(
            f"cycle; above: copy a, below: copy b; {what} in cycle {cycle}", color=LIGHT.dim
        )

    names = ", ".join(wave.name for wave in shown)
    label = f"Waveforms of both copies around cycle {cycle}: {names}"
    return picture(draw, height_in=0.6 + _WAVE_IN * len(shown), label=label)


def _line(axes: Axes, values: Sequence[str], start: int, middle: float, colour: str) -> None:
    heights = [middle + (0.15 if value == "0" else -0.15) for value in values]
    axes.step(
        [*range(start, start + len(values) + 1)],
        [*heights, heights[-1]],
        where="post",
        color=colour,
        lw=1.6,
    )


def _bus(axes: Axes, values: Sequence[str], start: int, middle: float, colour: str) -> None:
    place = start
    for value, run in groupby(values):
        length = len(list(run))
        axes.barh(
            middle, length, left=place, height=0.34, color="none", edgecolor=colour, linewidth=1.2
        )
        room = max(1, int(length * 1.4))
        short = value[-_LONGEST_VALUE:]
        if len(short) <= room:
            axes.text(
                place + length / 2,
                middle,
                short,
                ha="center",
                va="center",
                size=7,
                color=LIGHT.text,
            )
        place += length


def path(stations: Sequence[tuple[str, str, str]]) -> str:
    """The way of a secret: a box a station (role, signal, place), from top to bottom."""

    def draw(axes: Axes) -> None:
        for row, (role, signal, place) in enumerate(stations):
            strong = role in ("secret", "decision", "observed")
            axes.plot([0], [row], marker="o", color=LIGHT.bad if strong else LIGHT.good, ms=7)
            if row:
                axes.annotate(
                    "",
                    xy=(0, row - 0.22),
                    xytext=(0, row - 0.78),
                    arrowprops={"arrowstyle": "-|>", "color": LIGHT.dim},
                )
            axes.text(
                0.05,
                row,
                plain(f"{signal}   {place}"),
                va="center",
                color=LIGHT.text,
                parse_math=False,
            )
        rows(axes, [role for role, _, _ in stations])
        axes.set_xlim(-0.05, 1)
        axes.set_xticks([])

    said = ", ".join(f"{role} {signal}" for role, signal, _ in stations)
    height = 0.5 + _STATION_IN * len(stations)
    return picture(draw, height_in=height, label=f"The way of the secret: {said}")


def histogram(counts: Mapping[int, int], later: Mapping[int, int]) -> str:
    """How many operations took how many cycles: the first after a reset, and later ones."""

    def draw(axes: Axes) -> None:
        axes.bar(list(counts), list(counts.values()), width=0.8, color=LIGHT.good)
        if later:
            top = max([*counts.values(), *later.values()])
            negative = [-number for number in later.values()]
            axes.bar(list(later), negative, width=0.8, color=LIGHT.other)
            axes.set_ylim(-1.1 * top, 1.1 * top)
            axes.axhline(0, color=LIGHT.dim, lw=0.8)
        low, high = min({*counts, *later}), max({*counts, *later})
        axes.set_xlim(low - 2, high + 2)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(
            "cycles from start to done; up: first operations after a reset, down: later ones",
            color=LIGHT.dim,
        )
        axes.set_yticks([])

    said = ", ".join(f"{cycles} cycles {number} times" for cycles, number in counts.items())
    return picture(draw, height_in=1.9, label=f"Latencies of random operations: {said}")
