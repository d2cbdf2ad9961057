"""An interface as rows of the table ``interface``, which every crypto check writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from openforge.interface_model import Interface, Shares
from openforge.schema_crypto import InterfaceSection


def interface_rows(interface: Interface, given: InterfaceSection) -> Iterator[Mapping[str, object]]:
    """The table ``interface``: each field, and why it has its value where nobody gave it."""
    why = {entry.field: entry for entry in interface.inferred}
    reset, clock = interface.reset, interface.clock
    edge = "rising" if interface.rising else "falling"
    values = {
        "clock": f"{clock}, {edge} edge" if clock else "none: the design has no registers",
        "reset": (
            f"{reset.signal}, active {'low' if reset.active_low else 'high'}, {reset.cycles} cycles"
            if reset
            else "none"
        ),
        "secrets": ", ".join(bits.text for bits in interface.secrets),
        "public": ", ".join(bits.text for bits in interface.public),
        "randoms": ", ".join(bits.text for bits in interface.randoms),
        "shares": "; ".join(_sharing(shares) for shares in interface.shares),
        "start": interface.start.text if interface.start else "none",
        "done": (
            interface.done.text
            if interface.done
            else f"{interface.done_cycles} cycles after start"
            if interface.done_cycles
            else "none"
        ),
        "observables": ", ".join(bits.text for bits in interface.observables),
        "constants": ", ".join(f"{name} = {value}" for name, value in interface.constants.items()),
        "assume": "; ".join(interface.assume),
        "declassify": ", ".join(entry.bits.text for entry in interface.declassify),
    }
    said = given.model_fields_set
    for field, value in values.items():
        inferred = [entry for name, entry in why.items() if name.split(".")[0] == field]
        yield {
            "field": field,
            "value": value,
            "given": field in said and not inferred,
            "why": "; ".join(entry.why for entry in inferred),
        }


def _sharing(shares: Shares) -> str:
    by = " + " if shares.modulus else " xor "
    modulus = f" mod {shares.modulus}" if shares.modulus else ""
    return f"{shares.name} = {by.join(bits.text for bits in shares.of)}{modulus}"
