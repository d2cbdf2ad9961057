"""Nets of a raw Yosys netlist that are driven more than once: Yosys would pick or join drivers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

Bits = dict[Any, list[str]]


def conflicts(module: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The nets of `module` with more than one driver on a bit: name and ``src`` attribute.

    `module` is from ``write_json``, read before any optimisation: once Yosys has joined two
    drivers, what drove the net is one signal, and inputs that drove it are one input. An input of
    the module is a driver. Tristate drivers share a net as they are meant to; ``wand`` and ``wor``
    are one gate by then.
    """
    drivers = _drivers(module)
    bad = {bit for bit, kinds in drivers.items() if _collide(bit, kinds)}
    for name, net in module["netnames"].items() if bad else ():
        if not net["hide_name"] and bad.intersection(net["bits"]):
            yield name, net["attributes"].get("src", "")


def _drivers(module: dict[str, Any]) -> Bits:
    """What drives each bit: types of cells, and ``input`` for an input of the module."""
    found: Bits = defaultdict(list)
    for port in module["ports"].values():
        for bit in port["bits"] if port["direction"] == "input" else ():
            found[bit].append("input")
    for cell in module["cells"].values():
        for port, direction in cell.get("port_directions", {}).items():
            for bit in cell["connections"][port] if direction == "output" else ():
                found[bit].append(cell["type"])
    return found


def _collide(bit: int | str, kinds: list[str]) -> bool:
    """Whether drivers of `kinds` may not be together on `bit`; a constant is a driver, too."""
    if isinstance(bit, str):
        return bit in ("0", "1")
    return len(kinds) > 1 and set(kinds) != {"$tribuf"}
