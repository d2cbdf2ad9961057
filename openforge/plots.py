"""Plots as SVG, in a light and a dark variant, for notebooks and reports.

Colours differ in lightness as well as in hue, and no plot says by colour alone what is not also
written. Names come from designs, so no text is taken for mathematics.
"""

from __future__ import annotations

import base64
import html
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from openforge.plain import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Palette:
    """Colours of one theme: blue against orange, which most colour-blind people tell apart."""

    text: str
    dim: str
    faint: str
    good: str
    bad: str
    other: str


LIGHT = Palette("#1f2328", "#59636e", "#e4e8ec", "#2c6e9b", "#c4501b", "#9aa4ae")
DARK = Palette("#e6edf3", "#9198a1", "#2a313a", "#6cb6ff", "#f0883e", "#6b7480")
_STYLE: Any = {
    "svg.hashsalt": "openforge",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "Segoe UI", "Roboto", "Helvetica", "DejaVu Sans"],
    "font.size": 9.0,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_WIDTH_IN, _ROW_IN, _LONGEST_NAME = 7.6, 0.26, 44
_LETTER_IN = 0.075  # of a wide font: browsers have others
_SCALE_IN = 0.42  # for the numbers at an axis, and its name
_COLOUR = re.compile(r"(?<=: )#[0-9a-f]{6}\b")
Draw = Callable[["Axes"], None]


def picture(draw: Draw, *, height_in: float, label: str, scale_on_top: bool = False) -> str:
    """HTML that shows the plot which `draw` makes, in the reader's theme; nothing is loaded."""
    light = svg(draw, height_in, scale_on_top=scale_on_top)
    shown = []
    for theme, text in (("light", light), ("dark", _darkened(light))):
        data = base64.b64encode(text.encode()).decode()
        shown.append(
            f'<img class="{theme}" src="data:image/svg+xml;base64,{data}" '
            f'alt="{html.escape(plain(label), quote=True)}" width="{_WIDTH_IN * 96:.0f}">'
        )
    return f'<div class="plot">{"".join(shown)}</div>'


def svg(draw: Draw, height_in: float, *, scale_on_top: bool = False) -> str:
    """The plot as SVG in the light theme; the same text for the same input."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the letters that matplotlib's fonts may lack.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(_WIDTH_IN, height_in))
        axes = figure.add_subplot()
        draw(axes)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(colors=LIGHT.dim, length=0)
        axes.tick_params(axis="y", labelcolor=LIGHT.text)
        longest = max((len(label.get_text()) for label in axes.get_yticklabels()), default=0)
        # matplotlib's own layouts measure every letter, which takes longer than the plot
        figure.subplots_adjust(
            left=(0.1 + _LETTER_IN * longest) / _WIDTH_IN,
            right=0.97,
            bottom=0.02 if scale_on_top else _SCALE_IN / height_in,
            top=1 - _SCALE_IN / height_in if scale_on_top else 0.98,
        )
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata=_NO_METADATA)
    return out.getvalue()


def _darkened(light: str) -> str:
    """A plot of the light theme in the colours of the dark one."""
    colours = dict(zip(astuple(LIGHT), astuple(DARK), strict=True))
    return _COLOUR.sub(lambda found: colours.get(found[0], found[0]), light)


def coverage(percent: Mapping[str, float], goals: Mapping[str, float]) -> str:
    """Bars of coverage in percent a kind, with the goal as a mark."""
    kinds = list(percent)

    def draw(axes: Axes) -> None:
        short = [k in goals and percent[k] < goals[k] for k in kinds]
        axes.barh(range(len(kinds)), [100.0] * len(kinds), color=LIGHT.faint, height=0.5)
        colours = [LIGHT.bad if s else LIGHT.good for s in short]
        axes.barh(range(len(kinds)), [percent[k] for k in kinds], color=colours, height=0.5)
        for row, kind in enumerate(kinds):
            goal = f"   goal {goals[kind]:g} %" if kind in goals else ""
            missed = ", missed" if short[row] else ""
            text = f"{percent[kind]:.1f} %{goal}{missed}"
            axes.text(101.5, row, text, va="center", color=LIGHT.text)
            if kind in goals:
                axes.plot([goals[kind]] * 2, [row - 0.38, row + 0.38], color=LIGHT.text, lw=1.6)
        rows(axes, kinds)
        axes.set_xlim(0, 140)
        axes.set_xticks([0, 25, 50, 75, 100])

    said = ", ".join(f"{kind} {percent[kind]:.1f} percent" for kind in kinds)
    return picture(draw, height_in=0.45 + 0.3 * len(kinds), label=f"Coverage: {said}")


def heat(shares: Mapping[str, Mapping[str, float]], kinds: Sequence[str]) -> str:
    """A field a file and kind of coverage, the darker the fewer points were reached."""
    files = list(shares)

    def draw(axes: Axes) -> None:
        for row, file in enumerate(files):
            for column, kind in enumerate(kinds):
                share = shares[file].get(kind)
                if share is None:
                    continue
                full = share >= 100.0
                depth = 1.0 if full else 0.15 + 0.6 * (100.0 - share) / 100.0
                colour = LIGHT.faint if full else LIGHT.bad
                axes.barh(row, 0.94, left=column, color=colour, alpha=depth)
                place = (column + 0.47, row)
                text = str(int(share))  # rounded down, as everywhere
                axes.text(*place, text, ha="center", va="center", color=LIGHT.text, size=8)
        rows(axes, files)
        axes.set_xlim(0, len(kinds))
        axes.set_xticks([c + 0.47 for c in range(len(kinds))], [k.replace("_", " ") for k in kinds])
        axes.xaxis.tick_top()

    label = "Coverage of each file in percent; the table below has the numbers"
    height = 0.45 + _ROW_IN * len(files)
    return picture(draw, height_in=height, label=label, scale_on_top=True)


def bars(
    names: Sequence[str], values: Sequence[float], failed: Sequence[bool], *, unit: str
) -> str:
    """Bars of a quantity, one a test or property; those that failed in another colour."""
    marked = [f"✗ {name}" if bad else name for name, bad in zip(names, failed, strict=True)]

    def draw(axes: Axes) -> None:
        colours = [LIGHT.bad if f else LIGHT.good for f in failed]
        axes.barh(range(len(names)), values, color=colours, height=0.55)
        rows(axes, marked)
        axes.set_xlabel(unit, color=LIGHT.dim)
        axes.set_xlim(0, 1.05 * max([*values, 0]) or 1.0)

    height = 0.6 + _ROW_IN * len(names)
    return picture(draw, height_in=height, label=f"{unit} of each, as in the table")


def timeline(names: Sequence[str], starts_s: Sequence[float], lengths_s: Sequence[float]) -> str:
    """When each check of a job ran, in seconds from the start of the job."""

    def draw(axes: Axes) -> None:
        axes.barh(range(len(names)), lengths_s, left=starts_s, color=LIGHT.other, height=0.5)
        rows(axes, names)
        axes.set_xlabel("seconds from the start of the job", color=LIGHT.dim)
        axes.set_xlim(left=0)

    height = 0.6 + _ROW_IN * len(names)
    return picture(draw, height_in=height, label="When each check ran; durations are in the table")


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows, the first at the top."""
    short = [n if len(n) <= _LONGEST_NAME else f"…{n[1 - _LONGEST_NAME :]}" for n in names]
    axes.set_yticks(range(len(names)), [plain(n) for n in short], parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
