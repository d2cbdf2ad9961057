"""Cycle 0: which resets are taken to be active in it, and what can be said of it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from openforge import events
from openforge import resets as known_resets
from openforge.analysis import cells
from openforge.design import Design, Reset
from openforge.errors import CheckFailedToRun

_STATE = re.compile(r"\$(.*ff.*|.*latch.*|sr|mem.*)")


def resets(design: Design, module: dict[str, Any]) -> tuple[Reset, ...]:
    """The inputs that are active in cycle 0: resets by the project file, by name, or by nature.

    What only looks like a reset stays free: a synchronous clear by another name, and an
    asynchronous load of data or of a register with an initial value of its own.
    """
    inputs = {port.name for port in design.ports if port.direction.value == "input"}
    found = {reset.signal: reset for reset in design.resets if reset.signal in inputs}
    said = design.config.verification.crypto_verification.interface.reset
    if said is None:
        taken, left = known_resets.recognised(found.values(), _graph(module))
        for reset in left:
            events.log(
                f"'{reset.signal}' is a free input in the proof; if it is the reset, say so in "
                "verification.crypto_verification.interface.reset",
                "WARNING",
            )
        return taken
    if said.signal not in inputs:
        raise CheckFailedToRun(
            f"verification.crypto_verification.interface.reset: no input '{said.signal}'"
        )
    known = found.get(said.signal)
    return (
        Reset(
            signal=said.signal,
            active_low=said.active == "low",
            asynchronous=known is not None and known.asynchronous,
        ),
    )


def _graph(module: dict[str, Any]) -> cells.Graph:
    return cells.graph({"modules": {"": module}}, "")


def undefined(module: dict[str, Any]) -> Iterator[str]:
    """The property cells that say nothing of cycle 0 before a synchronous reset has acted.

    They depend on registers or memories, and on none that has an initial value.
    """
    drivers: dict[Any, dict[str, Any]] = {}
    for cell in module["cells"].values():
        for port, direction in cell["port_directions"].items():
            if direction == "output":
                drivers |= dict.fromkeys(cell["connections"][port], cell)
    started: set[Any] = set(known_resets.initialised(_graph(module)))
    for name, cell in module["cells"].items():
        ports = cell["connections"]
        if "EN" in ports and "A" in ports and cell["type"] in ("$check", "$assert", "$cover"):
            state = set(_state({*ports["A"], *ports["EN"]}, drivers))
            if state and not state & started:
                yield name


def _state(bits: set[Any], drivers: dict[Any, dict[str, Any]]) -> Iterator[Any]:
    """The outputs of registers and memories that `bits` depend on within a cycle."""
    seen, todo = set(bits), list(bits)
    while todo:
        bit = todo.pop()
        cell = drivers.get(bit)
        if cell is None:
            continue
        if _STATE.fullmatch(cell["type"]):
            yield bit
            continue
        for port, direction in cell["port_directions"].items():
            more = set(cell["connections"][port]) - seen if direction == "input" else set()
            seen |= more
            todo += more
