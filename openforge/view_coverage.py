"""Coverage of a check as the templates want it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from openforge import excerpt, plots
from openforge.record import PROJECT, CheckRecord
from openforge.view_rows import Rows

KINDS = ("line", "branch", "toggle", "fsm_state", "fsm_arc", "user")
_OPEN_KINDS = ("branch", "fsm_state", "fsm_arc", "user")
_MAX_OPEN = 60
_MAX_LINES = 40
_MAX_PLOTTED = 40


def coverage(record: CheckRecord, points: Rows) -> dict[str, Any]:
    """Coverage by kind and by file, from the points of the check; empty when none was measured."""
    percent = _numbers(record.result.summary.get("coverage") if record.result else None)
    if not points or not percent:
        return {}
    source = record.result.provenance if record.result else None
    goals = _numbers(source.params.get("coverage_goals") if source else None)
    files = _files(record.path.parent / PROJECT, points)
    kinds = [kind for kind in KINDS if any(kind in file["kinds"] for file in files)]
    missed = [p for p in points if not p["hits"] and p["kind"] in _OPEN_KINDS]
    shares = {
        str(file["name"]): {k: file["kinds"][k]["percent"] for k in kinds if k in file["kinds"]}
        for file in files
    }
    return {
        "percent": percent,
        "goals": goals,
        "files": files,
        "kinds": kinds,
        "plot": plots.coverage(percent, goals),
        "heat": plots.heat(shares, kinds) if 1 < len(shares) <= _MAX_PLOTTED else "",
        "open": missed[:_MAX_OPEN],
        "more_open": max(0, len(missed) - _MAX_OPEN),
    }


def _files(project: Path, points: Rows) -> list[dict[str, Any]]:
    by_file: dict[str, Rows] = defaultdict(list)
    for point in points:
        by_file[point["file"] or ""].append(point)
    return [_file(project, name, rows) for name, rows in sorted(by_file.items())]


def _file(project: Path, name: str, points: Rows) -> dict[str, Any]:
    total = Counter(p["kind"] for p in points)
    reached = Counter(p["kind"] for p in points if p["hits"])
    missed = {p["line"] for p in points if p["kind"] == "line" and not p["hits"]} - {None}
    numbers = sorted(missed)
    return {
        "name": name,
        "kinds": {
            kind: {"percent": _share(reached[kind], count), "hit": reached[kind], "of": count}
            for kind, count in total.items()
        },
        "missed": ranges(numbers),
        "lines": excerpt.uncovered(project, name, numbers, _MAX_LINES),
        "more_lines": max(0, len(numbers) - _MAX_LINES),
    }


def _share(reached: int, count: int) -> float:
    """Percent, rounded down to a tenth: 100 is said only where nothing is missing."""
    return math.floor(1000 * reached / count) / 10


def ranges(lines: Iterable[int]) -> str:
    """``[1, 2, 3, 7]`` as "1-3, 7"."""
    parts: list[list[int]] = []
    for line in sorted(set(lines)):
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _numbers(given: object) -> dict[str, float]:
    if not isinstance(given, Mapping):
        return {}
    return {k: float(v) for k, v in given.items() if isinstance(v, int | float)}
