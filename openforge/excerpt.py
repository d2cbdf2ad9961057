"""Lines of a job's sources, for showing: read from the job's own copy of the project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from openforge.model import Finding

CONTEXT = 2  # lines before and after
_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Line:
    """One line to show; `mark` is the caret line below it, `hit` whether it is what it is about."""

    number: int | None
    text: str
    hit: bool = False
    mark: str = ""


def read(project: Path, name: str) -> list[str]:
    """The lines of the source `name`; empty when it is not a file inside `project`."""
    root = project.resolve()
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            return []
        if path.stat().st_size > _MAX_BYTES:
            return []
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):  # ValueError: a name with a NUL in it
        return []


def around(project: Path, finding: Finding) -> list[Line]:
    """The source line of a finding with its neighbours, a caret below the column.

    Where the copy of the project no longer has the line that the tool saw, only that line.
    """
    place = finding.location
    if place is None or place.line is None:
        return [Line(None, finding.excerpt, hit=True)] if finding.excerpt else []
    lines, at = read(project, place.file), place.line
    there = 0 < at <= len(lines)
    if finding.excerpt and not (there and lines[at - 1].strip() == finding.excerpt.strip()):
        return [Line(at, finding.excerpt, hit=True)]
    if not there:
        return []
    shown = range(max(1, at - CONTEXT), min(len(lines), at + CONTEXT) + 1)
    return [_line(n, lines[n - 1], n == at, place.column) for n in shown]


def uncovered(project: Path, name: str, numbers: list[int], limit: int) -> list[Line]:
    """The lines `numbers` of a source, at most `limit` of them."""
    lines = read(project, name)
    return [Line(n, lines[n - 1]) for n in numbers[:limit] if 0 < n <= len(lines)]


def _line(number: int, text: str, hit: bool, column: int | None) -> Line:
    mark = ""
    if hit and column and 0 < column <= len(text) + 1:
        mark = re.sub(r"[^\t]", " ", text[: column - 1]) + "^"
    return Line(number, text, hit, mark)
