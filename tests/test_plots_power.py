"""Plots of power: thresholds stay visible, no peak is lost, shares add up, names are text."""

import base64
import math
import random
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.path import Path

from openforge import plots_field, plots_power
from openforge.plots_field import Cell, Row
from openforge.plots_power import Band, Line, Thresholds

BOTH = Thresholds(4.5, 5.61)
EVIL = "$\\frac{1}{0}$ <b>&\x00"


@pytest.fixture
def drawn(monkeypatch):
    """The axes of what is drawn next, before it becomes SVG."""
    found = []

    def picture(draw, *, height_in, label, **_):
        axes = Figure(figsize=(7.6, height_in)).add_subplot()
        draw(axes)
        found.append((axes, label))
        return "picture"

    for module in (plots_power, plots_field):
        monkeypatch.setattr(module, "picture", picture)
    return found


def height(axes, value):
    """Where `value` is between the bottom (0) and the top (1) of `axes`."""
    return axes.transAxes.inverted().transform(axes.transData.transform((1, value)))[1]


def t_plot(drawn, values, thresholds=BOTH):
    """The axes of t over cycles."""
    plots_power.t_over_cycles(
        [Line("s", range(len(values)), values)], thresholds, unit="cycle", label="t"
    )
    return drawn[-1][0]


def texts(axes):
    """Everything that is written in `axes`."""
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("largest", [3.0, 17.0, 110.0, 3082.0, 1e6, math.inf])
def test_the_thresholds_stay_visible(drawn, largest):
    """However large t is, both thresholds are well apart from 0, and t is inside the picture."""
    axes = t_plot(drawn, [0.5, largest, -1.0])
    assert height(axes, 4.5) - height(axes, 0) > 0.05
    assert height(axes, 5.61) > height(axes, 4.5)
    assert height(axes, min(largest, 1e9)) < 0.9  # with room for its number
    assert all(0 <= height(axes, tick) <= 1 for tick in axes.get_yticks())


def test_thresholds_are_told_apart_without_colour(drawn):
    """The plain one is dashed, the corrected one solid, and each has its value beside it."""
    axes = t_plot(drawn, [1.0, 2.0])
    found = {(round(abs(x.get_ydata()[0]), 2), x.get_linestyle()) for x in axes.lines[1:]}
    assert found == {(4.5, "--"), (5.61, "-")}
    assert {"threshold 4.5", "corrected 5.61"} <= set(texts(axes))
    assert len(t_plot(drawn, [1.0], Thresholds()).lines) == 1


def test_the_farthest_value_is_written(drawn):
    """The largest |t| with its sign and its cycle; gaps count for nothing."""
    assert "−14.2 in cycle 3" in texts(t_plot(drawn, [1.0, None, 9.0, -14.2, math.nan]))
    assert len(texts(t_plot(drawn, [None, math.nan]))) == 2


def test_no_peak_is_lost_among_many_samples(drawn):
    """Of 50,000 samples few are drawn, with the extremes of each bucket (slow reference)."""
    made = random.Random(1)
    values = [made.gauss(0, 1) for _ in range(50_000)]
    values[31_234] = 99.0
    axes = t_plot(drawn, values)
    places, shown = axes.lines[0].get_data()
    assert len(shown) <= 1600
    assert [values[int(place)] for place in places] == list(shown)
    for bucket in np.array_split(values, 800):
        assert {min(bucket), max(bucket)} <= set(shown)
    assert "99 in cycle 31234" in texts(axes)


def test_progress_shows_sizes(drawn):
    """Over traces |t| is drawn, on logarithmic traces, with every size inside."""
    plots_power.t_over_traces(
        [Line("a", [16, 256, 4096], [1.0, -6.0, -20.0])], BOTH, label="progress"
    )
    axes = drawn[0][0]
    assert list(axes.lines[0].get_ydata()) == [1.0, 6.0, 20.0]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "1,000"]


def test_both_classes_differ_in_more_than_colour(drawn):
    """Mean power: solid against dashed, each in a band as wide as its deviation."""
    plots_power.mean_power(
        range(3), Band([1, 2, 3], [0.5] * 3), Band([1, 2, 2], [1] * 3), unit="cycle", label="p"
    )
    axes = drawn[0][0]
    styles = {
        line.get_label(): line.get_linestyle() for line in axes.lines if "class" in line.get_label()
    }
    assert styles == {"fixed class": "-", "random class": "--"}
    drawn_values = [list(line.get_ydata()) for line in axes.lines]
    for edge in ([0.5, 1.5, 2.5], [1.5, 2.5, 3.5], [0, 1, 1], [2, 3, 3]):
        assert edge in drawn_values


@pytest.mark.parametrize("values", [[7.0], range(30, 62), range(1000), [0.5, 0.75, 4.0]])
def test_shares_of_a_distribution_add_up(drawn, values):
    """Outlines are shares of a class in percent, whatever the bins are (slow reference)."""
    made = random.Random(2)
    fixed = [made.randrange(1, 9) for _ in values]
    plots_power.outlines(list(values), fixed, [1] * len(values), unit="nets", label="d")
    outline, edges, _ = drawn[0][0].patches[1].get_data()
    assert sum(outline) == pytest.approx(100)
    assert len(outline) <= 121
    for share, low, high in zip(outline, edges[:-1], edges[1:], strict=True):
        inside = sum(n for v, n in zip(values, fixed, strict=True) if low <= v < high)
        assert share == pytest.approx(100 * inside / sum(fixed))


@pytest.mark.parametrize("columns", [7, 90])
def test_exactly_the_cells_that_matter_are_dark(drawn, columns):
    """Neighbours drawn as one cover the same cells as one by one (slow reference)."""
    made = random.Random(3)
    grid = [[Cell(max(0, made.randrange(-4, 5))) for _ in range(columns)] for _ in range(5)]
    shown = [Row(f"r{at}", cells, "w") for at, cells in enumerate(grid)]
    plots_field.field(shown, [str(c) for c in range(columns)], legend="l", label="f")
    axes = drawn[0][0]
    painted = [
        (patch.get_alpha(), patch.get_path())
        for patch in axes.patches
        if patch.get_alpha() is not None
    ]
    for at, cells in enumerate(grid):
        for column, cell in enumerate(cells):
            there = [a for a, path in painted if _covers(path, column + 0.47, at)]
            assert there == ([plots_field._DEPTHS[cell.depth]] if cell.depth else [])


def _covers(path, x, y):
    boxes = path.vertices.reshape(-1, 5, 2)
    return any(Path(box).contains_point((x, y)) for box in boxes)


def test_correlations_name_each_kind_once(drawn):
    """Sixteen bytes are sixteen lines of each kind, with one name for each kind."""
    lines = [Line("", [10, 100], [0.1, -0.4]) for _ in range(16)]
    plots_power.correlations(lines, lines, label="r")
    axes = drawn[0][0]
    assert len(axes.lines) == 32
    assert all(list(line.get_ydata()) == [0.1, 0.4] for line in axes.lines)
    assert len(axes.get_legend().get_texts()) == 2


def test_pictures_are_the_same_each_time_and_survive_any_name():
    """Same input, same bytes; valid XML with alternative text, in a light and a dark variant."""
    line = Line(EVIL, [0, 1, 2], [1.0, None, math.inf])

    def make():
        band = Band([1, None, math.inf], [1, 1, None])
        return [
            plots_power.t_over_cycles([line], BOTH, unit="cycle", label=EVIL),
            plots_power.t_over_traces([line], BOTH, label=EVIL),
            plots_power.mean_power([0, 1, 2], band, band, unit=EVIL, label=EVIL),
            plots_power.outlines([1.0], [0], [0], unit=EVIL, label=EVIL),
            plots_power.correlations([line], [], label=EVIL),
            plots_field.field([Row(EVIL, [Cell(4, "1")], EVIL)], [EVIL], legend=EVIL, label=EVIL),
        ]

    pictures = make()
    assert pictures == make()
    for picture, times in zip(pictures, (1, 1, 1, 1, 0, 4), strict=True):
        assert "<b>" not in picture
        assert picture.count('alt="$\\frac{1}{0}$ &lt;b&gt;&amp;\\u0000"') == 2
        light, dark = re.findall(r"base64,([A-Za-z0-9+/=]+)", picture)
        assert light != dark
        for data in (light, dark):
            text = "".join(ET.fromstring(base64.b64decode(data)).itertext())
            assert text.count("$\\frac{1}{0}$ <b>&\\u0000") == times
