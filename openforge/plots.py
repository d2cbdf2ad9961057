"""Plots as SVG texts, in a light and a dark variant, for notebooks and reports."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Palette:
    """Colours of one theme; they differ in lightness too, for those who do not tell hues apart."""

    text: str
    faint: str
    good: str
    bad: str
    other: str


LIGHT = Palette("#1f2328", "#d8dee4", "#2c6e9b", "#c4501b", "#8a6d00")
DARK = Palette("#e6edf3", "#3d444d", "#6cb6ff", "#f0883e", "#d9b44a")
_STYLE: Any = {"svg.hashsalt": "openforge", "svg.fonttype": "path", "font.size": 9.0}
Draw = Callable[["Axes", Palette], None]


def picture(draw: Draw, *, width_in: float, height_in: float, label: str) -> str:
    """HTML that shows the plot which `draw` makes in the reader's theme; nothing is loaded."""
    light, dark = (_data_url(_svg(draw, p, width_in, height_in)) for p in (LIGHT, DARK))
    return (
        '<picture><source media="(prefers-color-scheme: dark) and (not print)" '
        f'srcset="{dark}"><img src="{light}" alt="{label}" '
        f'style="max-width:100%;width:{width_in * 96:.0f}px"></picture>'
    )


def coverage(percent: Mapping[str, float], goals: Mapping[str, float]) -> str:
    """Bars of coverage in percent a kind, with the goal as a mark."""
    kinds = list(percent)

    def draw(axes: Axes, palette: Palette) -> None:
        missed = [goals.get(kind) is not None and percent[kind] < goals[kind] for kind in kinds]
        colours = [palette.bad if m else palette.good for m in missed]
        axes.barh(range(len(kinds)), [100.0] * len(kinds), color=palette.faint, height=0.55)
        axes.barh(range(len(kinds)), [percent[k] for k in kinds], color=colours, height=0.55)
        for row, kind in enumerate(kinds):
            axes.text(101.5, row, f"{percent[kind]:.1f} %", va="center", color=palette.text)
            if goals.get(kind) is not None:
                axes.plot([goals[kind]] * 2, [row - 0.4, row + 0.4], color=palette.text, lw=2)
        axes.set_yticks(range(len(kinds)), kinds)
        axes.set_xlim(0, 115)
        axes.invert_yaxis()

    said = ", ".join(f"{kind} {percent[kind]:.1f} percent" for kind in kinds)
    return picture(draw, width_in=6.4, height_in=0.5 + 0.32 * len(kinds), label=f"Coverage: {said}")


def durations(names: Sequence[str], seconds: Sequence[float], failed: Sequence[bool]) -> str:
    """Bars of time, one a test or property; those that failed in another colour."""

    def draw(axes: Axes, palette: Palette) -> None:
        colours = [palette.bad if f else palette.good for f in failed]
        axes.barh(range(len(names)), seconds, color=colours, height=0.6)
        axes.set_yticks(range(len(names)), [n if len(n) < 50 else f"…{n[-48:]}" for n in names])
        axes.set_xlabel("seconds", color=palette.text)
        axes.invert_yaxis()

    height = 0.7 + 0.22 * len(names)
    return picture(draw, width_in=7.5, height_in=height, label="Time of each, in seconds")


def _svg(draw: Draw, palette: Palette, width_in: float, height_in: float) -> bytes:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        axes = figure.add_subplot()
        draw(axes, palette)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(colors=palette.text, length=0)
        out = io.BytesIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue()


def _data_url(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
