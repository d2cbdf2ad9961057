"""The properties that slang found, each with its cell in the netlist: none may get lost."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from openforge.design import Design, Property
from openforge.engines.formal.netlist import Cell
from openforge.errors import CheckFailedToRun
from openforge.model import Location, Record

_ASSUMED = re.compile(r"assume\s*(?:property)?\s*\((?:\s*@\s*\([^)]*\))?(?P<what>.*)\)\s*;")


class Named(Record):
    """A property with its cell's number in the netlist and the text of its line."""

    name: str
    kind: str
    location: Location
    excerpt: str
    index: int


def require_usable(design: Design, files: Sequence[Path]) -> None:
    """Raise CheckFailedToRun for property files that do not bind, or for what cannot be proven."""
    if design.unbound:
        raise CheckFailedToRun(
            f"not bound to the design: {', '.join(design.unbound)}; none of their properties would "
            f"be checked. Add `bind <module> {design.unbound[0]} <name> (.*);`"
        )
    if design.unprovable:
        lines = (f"{found.location or '?'}: {found.message}" for found in design.unprovable)
        raise CheckFailedToRun("what cannot be in a proof:\n" + "\n".join(lines))
    bad = [found for found in design.properties if not found.supported]
    if bad:
        lines = (f"{found.location}: {found.name}: {found.problem}" for found in bad)
        raise CheckFailedToRun("properties that cannot be checked yet:\n" + "\n".join(lines))
    own = {found.location.file for found in design.properties}
    for file in files:
        name = file.relative_to(design.project_dir).as_posix()
        if name not in own:
            raise CheckFailedToRun(f"verification.formal.properties: {name} has no property in use")


def match(design: Design, cells: Sequence[Cell]) -> tuple[Named, ...]:
    """Each property of `design` with its cell, by kind and line.

    Raises CheckFailedToRun when the netlist has more or fewer than slang found at a place: a
    property that silently went missing would otherwise count as checked.
    """
    expected: dict[tuple[str, str, int], list[Property]] = defaultdict(list)
    found: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for item in design.properties:
        expected[(item.kind.value, item.location.file, item.location.line or 0)].append(item)
    for index, cell in enumerate(cells):
        path = Path(cell.file)
        inside = path.is_relative_to(design.project_dir)
        file = path.relative_to(design.project_dir).as_posix() if inside else path.name
        found[(cell.kind, file, cell.line)].append(index)
    wrong = [key for key in {*expected, *found} if len(expected[key]) != len(found[key])]
    if wrong:
        lines = (
            f"{file}:{line}: {len(expected[kind, file, line])} {kind} in the source, "
            f"{len(found[kind, file, line])} in the netlist"
            for kind, file, line in sorted(wrong)
        )
        raise CheckFailedToRun(
            "Yosys' netlist does not have the same properties:\n" + "\n".join(lines)
        )
    return tuple(
        named for key in expected for named in _name(design, expected[key], found[key], cells)
    )


def _name(
    design: Design, items: list[Property], indices: list[int], cells: Sequence[Cell]
) -> Iterable[Named]:
    """Equal names belong together; what has no label is told apart by its order only."""
    by_name = {cells[index].name: index for index in indices}
    labelled = [item for item in items if item.name in by_name]
    taken = {by_name[item.name] for item in labelled}
    rest = [index for index in indices if index not in taken]
    others = [item for item in items if item.name not in by_name]
    pairs = [(item, by_name[item.name]) for item in labelled]
    pairs += list(zip(others, rest, strict=True))
    for item, index in pairs:
        yield Named(
            name=item.name,
            kind=item.kind.value,
            location=item.location,
            excerpt=_line(design.project_dir, item.location),
            index=index,
        )


def _line(project: Path, place: Location) -> str:
    text = (project / place.file).read_text("utf-8", "replace").splitlines()
    return text[place.line - 1].strip() if place.line and place.line <= len(text) else ""


def assumption(named: Named) -> str:
    """What an `assume` takes for granted, with its place."""
    found = _ASSUMED.search(named.excerpt)
    what = found["what"].strip() if found else named.excerpt
    return f"{what} ({named.location.file}:{named.location.line})"
