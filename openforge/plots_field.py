"""A field of cells with a row a net or key byte, the darker the more a cell matters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.patches import PathPatch
from matplotlib.path import Path

from openforge.plain import plain
from openforge.plots import LIGHT, picture, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DEPTHS = (0.0, 0.15, 0.3, 0.45, 0.6)  # shades on which text is readable in both themes
_GAPS_UNTIL = 40  # columns that are drawn apart
_MOST_TICKS, _FEW = 8, 12  # columns that are named where there are many, or few
_WORDS_SHARE = 0.3  # of the cells' width: room for what stands at the end of a row


@dataclass(frozen=True)
class Cell:
    """A cell of a field: how dark, from 0 to 4, and what is written in it."""

    depth: int
    text: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a field: `words` stand at its end."""

    name: str
    cells: Sequence[Cell]
    words: str = ""


def field(shown: Sequence[Row], columns: Sequence[str], *, legend: str, label: str) -> str:
    """Cells in rows, the darker the more they matter; equal neighbours are drawn as one."""
    count = len(columns)
    gap = 0.06 if count <= _GAPS_UNTIL else 0.0
    room = _WORDS_SHARE * count if any(row.words for row in shown) else 0.0

    def draw(axes: Axes) -> None:
        boxes: dict[int, list[Path]] = {}
        for at, row in enumerate(shown):
            axes.barh(at, count - gap, left=0, height=0.86, color=LIGHT.faint, lw=0)
            for depth, start, end in _stretches(row.cells, apart=gap > 0):
                corners = [(start, at - 0.43), (end - gap, at + 0.43)]
                boxes.setdefault(depth, []).append(_box(*corners))
            _written(axes, row, at, count)
        for depth, paths in sorted(boxes.items()):
            whole = Path.make_compound_path(*paths)
            axes.add_patch(PathPatch(whole, color=LIGHT.bad, alpha=_DEPTHS[depth], lw=0))
        rows(axes, [row.name for row in shown])
        axes.set_xlim(0, count + room)
        step = 1 if count <= _FEW else -(-count // _MOST_TICKS)
        ticks = range(0, count, step)
        named = [plain(columns[tick]) for tick in ticks]
        axes.set_xticks([t + 0.5 - gap / 2 for t in ticks], named, parse_math=False)
        axes.set_xlabel(plain(legend), color=LIGHT.dim, loc="left", parse_math=False)

    return picture(draw, height_in=0.55 + 0.26 * len(shown), label=label)


def _stretches(cells: Sequence[Cell], *, apart: bool) -> list[tuple[int, int, int]]:
    """Depth, start and end of each stretch of cells that are equally dark."""
    found, start = [], 0
    for depth, group in itertools.groupby(cells, key=lambda cell: cell.depth):
        end = start + len(list(group))
        if depth and apart:
            found += [(depth, at, at + 1) for at in range(start, end)]
        elif depth:
            found.append((depth, start, end))
        start = end
    return found


def _box(low: tuple[float, float], high: tuple[float, float]) -> Path:
    return Path([low, (high[0], low[1]), high, (low[0], high[1]), low], closed=True)


def _written(axes: Axes, row: Row, at: int, count: int) -> None:
    """The words of a row: in its cells, and at its end."""
    style: dict[str, Any] = {"va": "center", "color": LIGHT.text, "parse_math": False}
    for column, cell in enumerate(row.cells):
        if cell.text:
            axes.text(column + 0.47, at, plain(cell.text), ha="center", size=7, **style)
    if row.words:
        axes.text(count * 1.01, at, plain(row.words), size=8, **style)
