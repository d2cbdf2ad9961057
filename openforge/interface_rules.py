"""What an annotation must not say: faults, collected so that all are told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from openforge.analysis.cells import Bit, Graph
from openforge.analysis.source import named
from openforge.errors import InterfaceError, Problem
from openforge.interface_names import Atom, Bits, Kind, Names, NotThere

PATH = "verification.crypto_verification.interface"
_MOST = 50
_ROLES = {
    "clock": "the clock",
    "reset": "the reset",
    "start": "the start",
    "constants": "a constant",
    "secrets": "secret",
    "randoms": "random",
    "public": "public",
}
_COMPATIBLE = {frozenset(["public", "start"]), frozenset(["public", "constants"])}
_NOT_ASSUMED = {"secrets", "randoms", "clock"}
_CALL = re.compile(r"\b(?P<call>stable|public)\s*\(\s*(?P<signal>[^()]*?)\s*\)")
_NUMBER = re.compile(r"(?:\d[\d_]*)?\s*'\s*[sS]?[bodhBODH]\s*[\w?]+|'[01xXzZ]\b|\b\d[\d_]*\b")
_SIGNAL = re.compile(
    r"[A-Za-z_][\w$]*(?:\s*\[\s*\d+\s*\](?=\s*\.)|\.[A-Za-z_][\w$]*)*"
    r"(?P<range>\s*\[\s*\d+\s*(?::\s*\d+\s*)?\])?(?P<call>\s*\()?"
)


class Faults:
    """The faults of an annotation."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, str], Problem] = {}

    def add(self, field: str, message: str, near: Sequence[str] = ()) -> None:
        """Note a fault of `field`, with names that may have been meant."""
        *first, last = near or [""]
        hint = f"{', '.join(first)} or {last}" if first else last
        self._problems.setdefault(
            (field, message), Problem(f"{PATH}.{field}", message, suggestion=hint or None)
        )

    def found(self, field: str, texts: Iterable[str], names: Names) -> list[Bits]:
        """The bits that `texts` name; what is not there is a fault."""
        bits = []
        for text in texts:
            try:
                bits.append(names.find(text))
            except NotThere as fault:
                self.add(field, str(fault), fault.near)
        return bits

    def throw(self) -> None:
        """Raise InterfaceError if there is a fault."""
        problems = list(self._problems.values())
        if problems:
            raise InterfaceError(problems[:_MOST])


class Roles:
    """Which bit has which role. Two roles of one bit are a fault, but for public ones."""

    def __init__(self, names: Names, faults: Faults) -> None:
        self._names, self._faults = names, faults
        self._owners: dict[Atom, dict[str, str]] = {}

    def claim(self, role: str, found: Iterable[Bits]) -> None:
        """Give `role` to bits."""
        for bits in found:
            for atom in self._names.atoms(bits):
                owners = self._owners.setdefault(atom, {})
                for other, text in owners.items():
                    if frozenset([role, other]) not in _COMPATIBLE:
                        self._faults.add(role, _clash(role, bits.text, other, text))
                owners[role] = bits.text

    def of(self, atom: Atom) -> set[str]:
        """The roles of a bit."""
        return set(self._owners.get(atom, ()))

    def is_free(self, bit: Bit) -> bool:
        """Whether an input bit is in no list, nor has a role that keeps it from being public."""
        return self.of(bit) <= {"start", "constants"}

    def may_start(self, bit: Bit) -> bool:
        """Whether an input bit can be what begins an operation."""
        return self.of(bit) <= {"public"}


def _clash(role: str, text: str, other: str, owner: str) -> str:
    if role == other:
        if text == owner:
            return f"'{text}' is there twice"
        return f"'{text}' and '{owner}' have bits in common"
    if text == owner:
        return f"'{text}' is {_ROLES[role]} here, and {_ROLES[other]} too: it can be one of them"
    return f"'{text}' is {_ROLES[role]} here, but '{owner}', {_ROLES[other]}, has bits of it"


def refuse_inouts(graph: Graph) -> None:
    """Raises InterfaceError for ports that are both input and output."""
    both = [named(v.name) for v in graph.signals.values() if v.direction == "inout"]
    if both:
        message = f"inputs or outputs were expected, found inout ports: {', '.join(both[:5])}"
        raise InterfaceError([Problem(PATH, message)])


def check_input(field: str, name: str, graph: Graph, names: Names, faults: Faults) -> None:
    """An input of one bit was expected."""
    vector = graph.signals.get(name)
    inputs = [port.name for port in graph.inputs]
    if vector is None:
        faults.add(field, f"the design has no input '{named(name)}'", names.near(name, inputs))
    elif vector.direction != "input":
        faults.add(field, f"'{named(name)}' is not an input")
    elif len(vector.bits) != 1:
        faults.add(field, f"an input of one bit was expected, '{name}' has {len(vector.bits)}")


def check_kinds(
    secrets: Iterable[Bits],
    randoms: Iterable[Bits],
    public: Iterable[Bits],
    names: Names,
    faults: Faults,
) -> None:
    """Outputs are neither; nor are nets of which a part is an input."""
    for field, found in (("secrets", secrets), ("randoms", randoms), ("public", public)):
        for bits in found:
            if bits.kind is Kind.OUTPUT:
                cure = "name the inputs, registers or memories that it comes from"
                faults.add(field, f"'{bits.text}' is an output; {cure}")
            elif names.inputs_in(bits):
                faults.add(field, f"'{bits.text}' is in part an input; name the input itself")
            elif field == "randoms" and bits.kind is Kind.MEMORY:
                faults.add(field, f"'{bits.text}' is a memory, which has no fresh value each cycle")


def with_shares(
    given: Sequence[Bits], shares: Iterable[Sequence[Bits]], names: Names, faults: Faults
) -> list[Bits]:
    """The given secrets and the shares that are not among them."""
    found = list(given)
    covered = frozenset[Atom]().union(*map(names.atoms, given))
    used: set[Atom] = set()
    for bits in (bits for of in shares for bits in of):
        atoms = names.atoms(bits)
        if not atoms.isdisjoint(used):
            faults.add("shares", f"'{bits.text}' has bits of another share")
        elif not atoms.isdisjoint(covered) and not atoms <= covered:
            faults.add("shares", f"'{bits.text}' is in part among the secrets; list it as a whole")
        elif not atoms or not atoms <= covered:
            found.append(bits)
        used |= atoms
    return found


def check_shares(
    name: str, of: Sequence[Bits], modulus: int | None, names: Names, faults: Faults
) -> None:
    """Shares of one secret are equally wide, and wide enough for their modulus."""
    widths = [names.width(bits) for bits in of]
    if len(of) < 2:
        faults.add(f"shares.{name}", f"two shares or more were expected, found {len(of)}")
    elif len(set(widths)) > 1:
        found = ", ".join(f"'{b.text}' has {w}" for b, w in zip(of, widths, strict=True))
        faults.add(f"shares.{name}", f"shares of one width, in bits, were expected: {found}")
    elif modulus and widths[0] < (modulus - 1).bit_length():
        needed = (modulus - 1).bit_length()
        message = f"values below {modulus} need {needed} bits, the shares have {widths[0]}"
        faults.add(f"shares.{name}", message)


def check_constants(
    constants: Mapping[str, int], graph: Graph, names: Names, faults: Faults
) -> None:
    """A constant is an input, and its value fits."""
    inputs = [port.name for port in graph.inputs]
    for name, value in constants.items():
        if name not in inputs:
            message = f"the design has no input '{named(name)}'"
            faults.add("constants", message, names.near(name, inputs))
        elif not 0 <= value < 1 << len(graph.signals[name].bits):
            width = len(graph.signals[name].bits)
            faults.add("constants", f"{value} does not fit '{name}', which has {width} bits")


def check_done(done: Bits | None, secrets: Iterable[Bits], faults: Faults) -> None:
    """What ends an operation is one bit, neither an input nor a secret."""
    if done is None:
        return
    if done.kind in (Kind.INPUT, Kind.MEMORY):
        faults.add(
            "done", f"'{done.text}' is {_a(done.kind)}; an output or a register was expected"
        )
    elif len(done.positions) != 1:
        faults.add("done", f"one bit was expected, '{done.text}' has {len(done.positions)}")
    elif any(bits.name == done.name for bits in secrets):
        faults.add("done", f"'{done.text}' is a secret too: it can be one of them")


def check_observables(
    found: Iterable[Bits], secrets: Iterable[Bits], names: Names, faults: Faults
) -> None:
    """Observables are outputs or internal signals, and no secrets themselves."""
    secret = {(bits.name, n) for bits in secrets for n in bits.positions}
    memories = {bits.name for bits in secrets if bits.kind is Kind.MEMORY}
    for bits in found:
        if bits.kind in (Kind.INPUT, Kind.MEMORY):
            faults.add("observables", f"'{bits.text}' is {_a(bits.kind)}; outputs were expected")
        elif bits.name in memories or any((bits.name, n) in secret for n in bits.positions):
            faults.add("observables", f"'{bits.text}' is a secret too: it can be one of them")


def check_assumption(text: str, names: Names, roles: Roles, faults: Faults) -> None:
    """An assumption is over public inputs and the reset, with ``stable`` and ``public`` calls."""
    if not _balanced(text):
        faults.add("assume", f"one expression with closed brackets was expected: '{named(text)}'")
    for call, signal in _signals(text):
        if call == "(":
            near = f"'{named(signal)}' cannot be called; there are stable(x) and public(x)"
            faults.add("assume", near)
            continue
        for bits in faults.found("assume", [signal], names):
            found = {role for atom in names.atoms(bits) for role in roles.of(atom)}
            forbidden = found & ({"secrets"} if call == "public" else _NOT_ASSUMED)
            if forbidden:
                what = _ROLES[sorted(forbidden)[-1]]
                message = f"'{bits.text}' is {what}; an assumption is over public inputs"
                faults.add("assume", message)
            elif call != "public" and bits.kind is not Kind.INPUT:
                cure = "write public(x) for an internal signal that is the same in both copies"
                faults.add("assume", f"'{bits.text}' is not an input; {cure}")


def _signals(text: str) -> Iterator[tuple[str, str]]:
    """The signals in an expression, each with the call that it is in: stable, public or none."""
    for match in _CALL.finditer(text):
        yield match["call"], re.sub(r"\s", "", match["signal"])
    rest = _NUMBER.sub(_blank_numbers, _CALL.sub(" ", text))
    for match in _SIGNAL.finditer(rest):
        if match["call"]:
            yield "(", match[0].removesuffix("(").strip()
        else:
            yield "", re.sub(r"\s", "", match[0])


def _blank_numbers(match: re.Match[str]) -> str:
    return match[0] if match[0].isdigit() else " "


def _balanced(text: str) -> bool:
    open_: list[str] = []
    for char in text:
        if char in "([":
            open_.append(char)
        elif char in ")]":
            if not open_ or open_.pop() + char not in ("()", "[]"):
                return False
        elif char == "," and not open_:
            return False
    return not open_


def _a(kind: Kind) -> str:
    return f"an {kind}" if kind in (Kind.INPUT, Kind.OUTPUT) else f"a {kind}"
