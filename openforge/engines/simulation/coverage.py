"""Coverage of the design's sources: what Verilator counted, and the percentages of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from openforge.tools import verilator_coverage
from openforge.tools.verilator_coverage import Point


@dataclass(frozen=True)
class Share:
    """How many of some points were hit."""

    hit: int
    total: int

    @property
    def percent(self) -> float:
        """Percent, rounded down to a tenth: 100.0 means all of them."""
        return int(Fraction(1000 * self.hit, self.total)) / 10

    def reaches(self, goal: float) -> bool:
        """Whether the exact percentage is at least `goal`."""
        return 100 * self.hit >= Fraction(str(goal)) * self.total


def collect(
    runs: Iterable[Iterable[Point]],
    *,
    kinds: frozenset[str],
    project: Path,
    benches: frozenset[Path],
) -> tuple[Point, ...]:
    """The points of all `runs` added up: of `kinds`, and in files of the `project` but `benches`.

    Files become relative to the project, and blocks of lines become lines (`source_lines`).
    """
    root = project.resolve()
    own = []
    for point in verilator_coverage.merge(runs):
        file = Path(point.file)
        file = (file if file.is_absolute() else root / file).resolve()
        if file.is_relative_to(root) and file not in benches:
            own.append(replace(point, file=file.relative_to(root).as_posix()))
    lines = source_lines(own) if "line" in kinds else ()
    kept = [point for point in own if point.kind in kinds and point.kind != "line"]
    return tuple(sorted([*lines, *kept], key=lambda p: (p.file, p.line, p.column, p.kind, p.name)))


def source_lines(points: Iterable[Point]) -> tuple[Point, ...]:
    """A point for each source line that has a statement, hit when anything on it was executed.

    Verilator's own points of the kind "line" stand for blocks of any length, and leave out the
    blocks that it reports as branches.
    """
    found: dict[tuple[str, int], Point] = {}
    for point in points:
        if point.kind not in ("line", "branch"):
            continue
        own = (point.line,) if point.kind == "branch" else ()
        for line in {*point.lines, *own}:
            known = found.get((point.file, line))
            hits = max(point.hits, known.hits if known else 0)
            found[point.file, line] = replace(
                point, kind="line", line=line, column=0, name="", lines=(line,), hits=hits
            )
    return tuple(found.values())


def shares(points: Iterable[Point]) -> dict[str, Share]:
    """The share of points hit, of each kind that has any."""
    total: dict[str, Share] = {}
    for point in points:
        known = total.get(point.kind, Share(0, 0))
        total[point.kind] = Share(known.hit + (point.hits > 0), known.total + 1)
    return total


def cycles(points: Iterable[Point], clocks: Iterable[str], top: str) -> int | None:
    """How often the first of `clocks` rose, over all runs; None when that was not counted.

    Clocks are ports of `top`; a port of the same name below may have risen in many instances.
    """
    names = {f"{clock}:0->1" for clock in clocks}
    toggles = (p for p in points if p.kind == "toggle" and p.name in names)
    counts = [p.hits for p in toggles if p.module == top or p.module.startswith(f"{top}__")]
    return max(counts) if counts else None


def rows(points: Iterable[Point]) -> list[Mapping[str, Any]]:
    """The rows of the table ``coverage``."""
    return [
        {
            "kind": p.kind,
            "name": p.name,
            "file": p.file,
            "line": p.line,
            "scope": p.module,
            "hits": p.hits,
        }
        for p in points
    ]
