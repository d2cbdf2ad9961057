"""The records of an interface."""

from __future__ import annotations

from openforge.interface_names import Bits
from openforge.model import Record


class ResetLine(Record):
    """A reset, and for how many cycles it is held."""

    signal: str
    active_low: bool
    asynchronous: bool
    cycles: int


class Declassified(Record):
    """Bits that may depend on a secret, by specification."""

    bits: Bits
    reason: str


class Shares(Record):
    """A secret carried by shares: their sum modulo `modulus`, or without one their xor."""

    name: str
    of: tuple[Bits, ...]
    modulus: int | None


class Inferred(Record):
    """A choice that the user did not make: the field, its value, and why in one sentence."""

    field: str
    value: str
    why: str


class Interface(Record):
    """The resolved annotation.

    `clock` is None for a design without registers; `rising` is its active edge. `secrets` contain
    every share. `public` are all other inputs but clock, reset and `randoms`. `unobserved` are the
    outputs, or ranges of them, that are no observables: data.
    """

    clock: str | None
    rising: bool
    reset: ResetLine | None
    secrets: tuple[Bits, ...]
    public: tuple[Bits, ...]
    randoms: tuple[Bits, ...]
    observables: tuple[Bits, ...]
    shares: tuple[Shares, ...]
    start: Bits | None
    done: Bits | None
    done_cycles: int | None
    constants: dict[str, int]
    assume: tuple[str, ...]
    declassify: tuple[Declassified, ...]
    inferred: tuple[Inferred, ...]
    unobserved: tuple[str, ...]
