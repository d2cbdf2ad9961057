"""Recorded public inputs: a CSV file, a column a port, a row a cycle."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from openforge.analysis.gates import Gates
from openforge.analysis.source import named
from openforge.engines.side_channel.roles import Roles
from openforge.errors import CheckFailedToRun

_FIELD = "side_channel.stimulus"
_MOST_ROWS = 4096
_MOST_BYTES = 16 << 20


def read(path: Path, gates: Gates, roles: Roles) -> tuple[Mapping[int, bool], ...]:
    """The values of public inputs, start and constants among them, by cycle and net.

    Values are decimal, or hexadecimal and binary with the prefixes 0x and 0b. Raises
    CheckFailedToRun, with the line, for what is no such file and for ports that are not public.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise CheckFailedToRun(f"{_FIELD}: {path.name} is larger than {_MOST_BYTES} bytes")
    public = {net for c in (*roles.controls, *roles.data) for net in c.nets}
    public |= {roles.start} - {None} if roles.start is not None else set()
    public |= set(roles.constants)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(_rows(csv.reader(file), path.name))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CheckFailedToRun(f"{_FIELD}: {path.name} is no CSV text: {error}") from error
    if len(rows) < 2:
        raise CheckFailedToRun(f"{_FIELD}: {path.name} has no row of values below its header")
    (_, header), *values = rows
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise CheckFailedToRun(f"{_FIELD}: {path.name} has two columns '{named(twice)}'")
    ports = {name: _nets(name, gates, public) for name in header}
    return tuple(dict(_row(row, ports, f"{path.name}:{number}")) for number, row in values)


def _rows(lines: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, with their numbers in the file."""
    for number, line in enumerate(lines, start=1):
        if number > _MOST_ROWS + 1:
            raise CheckFailedToRun(f"{_FIELD}: {name} has more than {_MOST_ROWS} cycles")
        if line:
            yield number, [word.strip() for word in line]


def _nets(name: str, gates: Gates, public: set[int]) -> tuple[int, ...]:
    port = gates.graph.signals.get(name)
    if port is None or port.direction != "input":
        raise CheckFailedToRun(f"{_FIELD}: the design has no input '{named(name)}'")
    nets = tuple(gates.literal(bit) >> 1 for bit in port.bits)
    if not set(nets) <= public:
        raise CheckFailedToRun(
            f"{_FIELD}: '{named(name)}' is not public; secrets, shares and randoms are drawn anew "
            "for every trace, and the clock and the reset are driven by the check"
        )
    return nets


def _row(
    row: list[str], ports: Mapping[str, tuple[int, ...]], place: str
) -> Iterator[tuple[int, bool]]:
    if len(row) != len(ports):
        raise CheckFailedToRun(f"{_FIELD}: {place}: {len(ports)} values expected, found {len(row)}")
    for word, (name, nets) in zip(row, ports.items(), strict=True):
        try:
            value = int(word, 0 if word[:2].lower() in ("0x", "0b") else 10)
        except ValueError:
            raise CheckFailedToRun(
                f"{_FIELD}: {place}: a number was expected for '{named(name)}', "
                f"found '{named(word)}'"
            ) from None
        if not 0 <= value < 1 << len(nets):
            raise CheckFailedToRun(
                f"{_FIELD}: {place}: {value} does not fit '{named(name)}' of {len(nets)} bits"
            )
        for position, net in enumerate(nets):
            yield net, bool(value >> position & 1)
