"""Rows of a check as fields of cells: |z| of nets, ranks and SNR of key bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from openforge import plots_field, plots_power
from openforge.plots_field import Cell, Row
from openforge.plots_power import Line
from openforge.view_rows import Rows, column, grouped

LONGEST_NAME = 96  # letters of a name in a table or a heading
_MOST_NETS, _FEWEST_NETS = 30, 8  # the second: where chance alone is to be seen
_MOST_COLUMNS, _WRITTEN_COLUMNS, _MOST_STEPS = 160, 16, 12
_SNR_FLOORS = (0.01, 0.1, 1.0, 10.0)
_RANKS = (1, 10, 50)  # a rank below the first is darkest, one at or above the last is not dark
_HUGE = 1e9


def nets(found: Rows, thresholds: Sequence[float]) -> str:
    """A field of |z| by cycle of the nets with the largest; `thresholds` ascend."""
    values = _sizes(found, "name", "z")
    low, high = thresholds[0], thresholds[-1]
    largest = {name: max(sizes.values()) for name, sizes in values.items()}
    count = max(_FEWEST_NETS, sum(value >= low for value in largest.values()))
    strongest = sorted(values, key=lambda name: -largest[name])[: min(count, _MOST_NETS)]
    floors = sorted({low, high, 3 * high, 10 * high})
    label = "Nets with the largest |z|, by cycle"
    return _field({name: values[name] for name in strongest}, floors, "|z|", label)


def snr(found: Rows) -> str:
    """A field of signal-to-noise ratios by cycle, a row a key byte."""
    named = [{**row, "byte": f"byte {row['position']}"} for row in found]
    values = _sizes(named, "byte", "snr")
    return _field(values, _SNR_FLOORS, "SNR", "Signal-to-noise ratio of each key byte, by cycle")


def key(found: Rows) -> dict[str, str]:
    """How far the key was recovered: in words, as a field of ranks, and the correlations."""
    if not found:
        return {"said": "", "ranks": "", "correlations": ""}
    of_byte = {
        position: sorted(part, key=lambda row: row["traces"])
        for position, part in sorted(grouped(found, "position").items())
    }
    last = max(row["traces"] for row in found)
    recovered = sum(part[-1]["rank"] == 0 for part in of_byte.values())
    said = f"{recovered} of {len(of_byte)} key bytes recovered with {last:,} traces."
    lines = {
        name: [Line("", column(part, "traces"), column(part, name)) for part in of_byte.values()]
        for name in ("correlation", "wrong")
    }
    label = f"Correlation of the true key and of the best wrong guess over traces. {said}"
    return {
        "said": said,
        "ranks": _ranks(of_byte, said),
        "correlations": plots_power.correlations(*lines.values(), label=label),
    }


def size(value: float | None) -> float:
    """How far a value is from 0: 0 for a missing one, and a finite number for infinity."""
    return 0.0 if value is None or math.isnan(value) else min(abs(value), _HUGE)


def cut(text: str, most: int) -> str:
    """`text`, without its middle where it is longer than `most` letters."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def _sizes(found: Rows, name: str, value: str) -> dict[str, dict[int, float]]:
    return {
        str(key): {row["cycle"]: size(row[value]) for row in part}
        for key, part in grouped(found, name).items()
    }


def _field(
    values: Mapping[str, Mapping[int, float]], floors: Sequence[float], what: str, label: str
) -> str:
    """A field of sizes by cycle; of many cycles each column shows the largest of some."""
    cycles = [cycle for row in values.values() for cycle in row]
    if not cycles:
        return ""
    step = -(-(max(cycles) - min(cycles) + 1) // _MOST_COLUMNS)
    starts = range(min(cycles), max(cycles) + 1, step)
    written = len(starts) <= _WRITTEN_COLUMNS
    shown = []
    for name, row in values.items():
        reached = [max(row.get(c, 0.0) for c in range(s, s + step)) for s in starts]
        cells = [_cell(value, floors, written) for value in reached]
        place = max(row, key=lambda cycle: row[cycle])
        shown.append(Row(name, cells, f"{row[place]:.3g} in cycle {place}"))
    shades = ", ".join(f"{floor:.3g}" for floor in floors)
    legend = f"cycle; shades: {what} from {shades}"
    return plots_field.field(shown, [str(s) for s in starts], legend=legend, label=label)


def _cell(value: float, floors: Sequence[float], written: bool) -> Cell:
    depth = sum(value >= floor for floor in floors)
    text = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
    return Cell(depth, text if depth and written else "")


def _ranks(of_byte: Mapping[int, Rows], said: str) -> str:
    steps = sorted({row["traces"] for part in of_byte.values() for row in part})
    count = min(len(steps), _MOST_STEPS)
    picked = [steps[-1 - (i * (len(steps) - 1)) // max(count - 1, 1)] for i in range(count)][::-1]
    shown = []
    for position, part in of_byte.items():
        ranks = {row["traces"]: row["rank"] for row in part}
        cells = [_rank(ranks.get(traces)) for traces in picked]
        shown.append(Row(f"byte {position}", cells, _since(part)))
    columns = [_short(traces) for traces in picked]
    legend = "traces; number: rank of the true key, 0 is recovered"
    return plots_field.field(shown, columns, legend=legend, label=f"Rank of each key byte. {said}")


def _rank(rank: int | None) -> Cell:
    if rank is None:
        return Cell(0)
    return Cell((0, 1, 2, 4)[sum(rank < limit for limit in _RANKS)], str(rank))


def _since(part: Rows) -> str:
    """From how many traces on the rank of a byte stays 0."""
    since = None
    for row in part:
        if row["rank"] != 0:
            since = None
        elif since is None:
            since = row["traces"]
    return f"rank {part[-1]['rank']}" if since is None else f"from {since:,} on"


def _short(number: int) -> str:
    """A number in at most five letters: 512, 4.1k, 100k, 1.5M."""
    if number < 1000:
        return str(number)
    return f"{number / 1e3:.3g}k" if number < 1e6 else f"{number / 1e6:.3g}M"
