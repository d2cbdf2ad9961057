"""The properties that slang found, each with its cell in the netlist: none may get lost."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from openforge.design import Design, Property
from openforge.engines.formal.netlist import Cell
from openforge.errors import CheckFailedToRun
from openforge.model import Location, Record

_NUMBERED = re.compile(r"\$\d+")


class Named(Record):
    """A property with its cell's number in the netlist and the text of its line.

    `conditional`: it says something only under a condition around it.
    """

    name: str
    kind: str
    location: Location
    excerpt: str
    text: str
    conditional: bool
    index: int


def require_usable(design: Design, files: Sequence[Path]) -> None:
    """Raise CheckFailedToRun for property files that do not bind, or for what cannot be proven."""
    if design.unbound:
        raise CheckFailedToRun(
            f"not bound to the design: {', '.join(design.unbound)}; none of their properties would "
            f"be checked. Add `bind <module> {design.unbound[0]} <name> (.*);`"
        )
    design.require_provable()
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
    """Each property of `design` with its cell, by kind and place.

    Raises CheckFailedToRun when the netlist has more or fewer than slang found at a place: a
    property that silently went missing would otherwise count as checked.
    """
    expected: dict[_Place, list[Property]] = defaultdict(list)
    found: dict[_Place, list[int]] = defaultdict(list)
    for item in design.properties:
        expected[_Place(item.kind.value, item.location)].append(item)
    for index, cell in enumerate(cells):
        path = Path(cell.file)
        inside = path.is_relative_to(design.project_dir)
        file = path.relative_to(design.project_dir).as_posix() if inside else path.name
        place = Location(file=file, line=cell.line, column=cell.column)
        found[_Place(cell.kind, place)].append(index)
    wrong = [key for key in {*expected, *found} if len(expected[key]) != len(found[key])]
    if wrong:
        lines = sorted(
            f"{key.location}: {len(expected[key])} {key.kind} in the source, "
            f"{len(found[key])} in the netlist"
            for key in wrong
        )
        raise CheckFailedToRun(
            "Yosys' netlist does not have the same properties:\n" + "\n".join(lines)
        )
    return tuple(
        Named(
            name=item.name,
            kind=item.kind.value,
            location=item.location,
            excerpt=_line(design.project_dir, item.location),
            text=item.text,
            conditional=cells[index].enable not in ("1'1", "1"),
            index=index,
        )
        for key in expected
        for item, index in _pairs(expected[key], found[key], cells)
    )


class _Place(NamedTuple):
    """What a property and its cell have in common; instances of a module share it."""

    kind: str
    location: Location


def _pairs(
    items: list[Property], indices: list[int], cells: Sequence[Cell]
) -> Iterable[tuple[Property, int]]:
    """One property in several instances: by its label's path, else by the cells' numbers.

    Yosys' slang numbers what has no label in the order in which slang visits the instances.
    """
    names = {index: cells[index].name for index in indices}
    if len(items) == 1 or all(_NUMBERED.fullmatch(name) for name in names.values()):
        ordered = sorted(indices, key=lambda i: int(names[i][1:])) if len(items) > 1 else indices
        yield from zip(items, ordered, strict=True)
        return
    for item in sorted(items, key=lambda item: -len(_path(item))):
        found = [index for index, name in names.items() if f".{name}".startswith(_path(item))]
        if len(found) != 1:
            raise CheckFailedToRun(f"{item.location}: cannot tell the instances of it apart")
        del names[found[0]]
        yield item, found[0]


def _path(item: Property) -> str:
    """Where a property's instance is, with a dot before and after."""
    return f".{item.name}".rpartition(".")[0] + "."


def _line(project: Path, place: Location) -> str:
    text = (project / place.file).read_text("utf-8", "replace").splitlines()
    return text[place.line - 1].strip() if place.line and place.line <= len(text) else ""


def assumption(named: Named) -> str:
    """What an `assume` takes for granted, with its place."""
    where = " where its statement is reached" if named.conditional else ""
    return f"{named.text}{where} ({named.location.file}:{named.location.line})"
