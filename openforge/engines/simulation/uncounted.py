"""What the coverage of a design leaves out: a percentage is worth as much as it counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from openforge.design import Design
from openforge.plain import some
from openforge.tools import verilator
from openforge.tools.verilator_coverage import Point

_SWITCHED_OFF = re.compile(r"\bverilator\s+coverage_(?:block_)?off\b")


def assumptions(design: Design, points: Sequence[Point], kinds: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each thing that Verilator did not count of the `kinds` of coverage."""
    found = []
    off = list(_switched_off(design))
    if off and kinds:
        found.append(f"coverage leaves out the regions that are marked coverage_off: {some(off)}")
    registers = registers_left_out(design, points) if "toggle" in kinds and points else []
    if registers:
        found.append(
            f"toggle coverage leaves out {some(registers)}: Verilator counts packed types and "
            f"their arrays, of at most {verilator.COVERAGE_MAX_BITS} bits"
        )
    return tuple(found)


def registers_left_out(design: Design, points: Iterable[Point]) -> list[str]:
    """The registers of the design that no toggle point is about, with their widths."""
    counted = {
        (point.file, point.line, re.split(r"[.\[:]", point.name)[0])
        for point in points
        if point.kind == "toggle"
    }
    return [
        f"{register.name} ({register.width} bits)"
        for register in design.registers
        if register.location
        and (register.location.file, register.location.line, register.name.rpartition(".")[2])
        not in counted
    ]


def _switched_off(design: Design) -> Iterator[str]:
    """The places in the design where the source switches coverage off."""
    for file in _files(design):
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
            if _SWITCHED_OFF.search(line):
                yield f"{file.relative_to(design.project_dir).as_posix()}:{number}"


def _files(design: Design) -> list[Path]:
    """The sources, and what they may include."""
    headers = [
        path
        for folder in design.includes
        for path in sorted(folder.iterdir())
        if path.suffix in (".v", ".vh", ".sv", ".svh", ".h", ".inc") and path.is_file()
    ]
    return list(dict.fromkeys([*(source.path for source in design.sources), *headers]))
