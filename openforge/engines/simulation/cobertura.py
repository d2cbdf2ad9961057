"""Line and branch coverage as Cobertura XML (DTD coverage-04), which CI systems display."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from openforge.tools.verilator_coverage import Point

_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">\n'
)


@dataclass
class _File:
    """Hits of each line, and taken and all branches of each line that has any."""

    lines: dict[int, int] = field(default_factory=dict)
    branches: dict[int, list[bool]] = field(default_factory=dict)

    @property
    def line_counts(self) -> tuple[int, int]:
        return sum(hits > 0 for hits in self.lines.values()), len(self.lines)

    @property
    def branch_counts(self) -> tuple[int, int]:
        taken = [hit for line in self.branches.values() for hit in line]
        return sum(taken), len(taken)


def write(points: Iterable[Point]) -> str:
    """The XML text; `points` have files relative to the project, which is its source folder."""
    files = _files(points)
    lines = _sum(file.line_counts for file in files.values())
    branches = _sum(file.branch_counts for file in files.values())
    root = ET.Element(
        "coverage",
        {
            **_rates(lines, branches),
            "lines-covered": str(lines[0]),
            "lines-valid": str(lines[1]),
            "branches-covered": str(branches[0]),
            "branches-valid": str(branches[1]),
            "complexity": "0",
            "version": "openforge",
            "timestamp": "0",
        },
    )
    ET.SubElement(ET.SubElement(root, "sources"), "source").text = "."
    package = ET.SubElement(
        ET.SubElement(root, "packages"),
        "package",
        {
            "name": "design",
            **_rates(lines, branches),
            "complexity": "0",
        },
    )
    classes = ET.SubElement(package, "classes")
    for name, file in sorted(files.items()):
        _class(classes, name, file)
    ET.indent(root)
    return _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"


def _files(points: Iterable[Point]) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for point in points:
        if point.kind not in ("line", "branch"):
            continue
        file = files.setdefault(point.file, _File())
        file.lines[point.line] = max(file.lines.get(point.line, 0), point.hits)
        if point.kind == "branch":
            file.branches.setdefault(point.line, []).append(point.hits > 0)
    return files


def _class(parent: ET.Element, name: str, file: _File) -> None:
    element = ET.SubElement(
        parent,
        "class",
        {
            "name": PurePosixPath(name).stem,
            "filename": name,
            **_rates(file.line_counts, file.branch_counts),
            "complexity": "0",
        },
    )
    ET.SubElement(element, "methods")
    lines = ET.SubElement(element, "lines")
    for number, hits in sorted(file.lines.items()):
        branches = file.branches.get(number)
        attributes = {
            "number": str(number),
            "hits": str(hits),
            "branch": str(bool(branches)).lower(),
        }
        if branches:
            taken = f"{100 * sum(branches) // len(branches)}% ({sum(branches)}/{len(branches)})"
            attributes["condition-coverage"] = taken
        ET.SubElement(lines, "line", attributes)


def _sum(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    hit = total = 0
    for part in counts:
        hit, total = hit + part[0], total + part[1]
    return hit, total


def _rates(lines: tuple[int, int], branches: tuple[int, int]) -> dict[str, str]:
    """Rates from 0 to 1, rounded down; 1 where there is nothing to cover, as Cobertura has it."""

    def rate(counts: tuple[int, int]) -> str:
        return f"{(10_000 * counts[0] // counts[1]) / 10_000 if counts[1] else 1.0:.4f}"

    return {"line-rate": rate(lines), "branch-rate": rate(branches)}
