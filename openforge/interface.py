"""The security annotation that every crypto check reads; what is not said is inferred.

*Limits.* Start, end and observables are inferred from names of ports only; each choice says why.
"""

from __future__ import annotations

from collections.abc import Sequence

from openforge import interface_infer as infer
from openforge import interface_rules as rules
from openforge import resets
from openforge.analysis.cells import Graph
from openforge.analysis.clocking import Clock, clocking
from openforge.analysis.source import named
from openforge.design import Design
from openforge.interface_model import Declassified, Inferred, Interface, ResetLine, Shares
from openforge.interface_names import Bits, Kind, Names
from openforge.interface_rules import Faults, Roles
from openforge.schema_crypto import ArithmeticShares, InterfaceSection

__all__ = [
    "Bits",
    "Declassified",
    "Inferred",
    "Interface",
    "Kind",
    "ResetLine",
    "Shares",
    "effective",
    "resolve",
]

_RESET_CYCLES = 2
IN_NO_LIST = "inputs that are in no list are public"


def resolve(
    design: Design, graph: Graph, section: InterfaceSection, *, timed: bool = True
) -> Interface:
    """The interface of `design`, whose netlist is `graph`, as `section` says or as inferred.

    With `timed`, there must be something observable whose timing can be seen.

    Raises InterfaceError with every fault of the annotation, DesignError for a design that has
    no single clock, or state that is neither a register nor a memory.
    """
    found = clocking(graph)
    return _Resolver(design, graph, section, timed=timed).interface(found)


def effective(
    section: InterfaceSection, secrets: Sequence[str], public: Sequence[str]
) -> InterfaceSection:
    """`section` with the secrets and public inputs that a check's own section gave for short.

    Raises InterfaceError when both say something, and not the same.
    """
    faults = Faults()
    update = {}
    for field, short in (("secrets", secrets), ("public", public)):
        given = getattr(section, field)
        if short and given and set(short) != set(given):
            faults.add(field, f"differs from '{field}' of the check; say it in one place")
        elif short and not given:
            update[field] = tuple(short)
    faults.throw()
    return section.model_copy(update=update)


class _Resolver:
    """The steps of `resolve`; each one leaves its faults in `faults` and goes on."""

    def __init__(
        self, design: Design, graph: Graph, section: InterfaceSection, *, timed: bool
    ) -> None:
        self.design, self.graph, self.section = design, graph, section
        self.timed = timed
        self.names = Names(design, graph)
        self.faults = Faults()
        self.inferred: list[Inferred] = []
        order = {port.name: n for n, port in enumerate(design.ports)}
        self.inputs = sorted(graph.inputs, key=lambda v: order.get(v.name, len(order)))
        self.outputs = sorted(graph.outputs, key=lambda v: order.get(v.name, len(order)))

    def interface(self, found: Clock | None) -> Interface:
        section, faults = self.section, self.faults
        rules.refuse_inouts(self.graph)
        clock = self._clock(found)
        reset = self._reset(clock)
        shares = self._shares()
        given = self._all("secrets", section.secrets)
        secrets = rules.with_shares(given, [share.of for share in shares], self.names, faults)
        randoms = self._all("randoms", section.randoms)
        public = self._all("public", section.public)
        rules.check_kinds(secrets, randoms, public, self.names, faults)
        rules.check_constants(section.constants, self.graph, self.names, faults)
        start, done = self._given_start(), self._given_done()
        faults.throw()
        roles = self._roles(clock, reset, start)
        for role, bits in (("secrets", secrets), ("randoms", randoms), ("public", public)):
            roles.claim(role, bits)
        rules.check_done(done, secrets, faults)
        faults.throw()
        public = self._public(public, roles)
        start = start or self._infer_start(roles)
        if done is None and section.done is None:
            done = self._infer_done()
        observables = self._observables(clock, done, secrets)
        for text in section.assume:
            rules.check_assumption(text, self.names, roles, faults)
        declassify = self._declassified()
        faults.throw()
        return Interface(
            clock=clock,
            rising=found.rising if found else True,
            reset=reset,
            secrets=tuple(secrets),
            public=tuple(public),
            randoms=tuple(randoms),
            observables=tuple(observables),
            shares=tuple(shares),
            start=start,
            done=done,
            done_cycles=section.done.cycles if section.done else None,
            constants=dict(section.constants),
            assume=section.assume,
            declassify=declassify,
            inferred=tuple(self.inferred),
            unobserved=tuple(self._unobserved(observables)),
        )

    def _all(self, field: str, texts: Sequence[str]) -> list[Bits]:
        return self.faults.found(field, texts, self.names)

    def _infer(self, field: str, value: str, why: str) -> None:
        self.inferred.append(Inferred(field=field, value=named(value), why=why))

    def _declassified(self) -> tuple[Declassified, ...]:
        return tuple(
            Declassified(bits=bits, reason=row.reason)
            for row in self.section.declassify
            for bits in self._all("declassify", [row.signal])
        )

    def _roles(self, clock: str | None, reset: ResetLine | None, start: Bits | None) -> Roles:
        roles = Roles(self.names, self.faults)
        for role, name in (("clock", clock), ("reset", reset.signal if reset else None)):
            roles.claim(role, [self.names.find(name)] if name else [])
        roles.claim("start", [start] if start else [])
        roles.claim("constants", map(self.names.find, self.section.constants))
        return roles

    def _clock(self, found: Clock | None) -> str | None:
        given = self.section.clock
        if given is None:
            if found:
                self._infer("clock", found.name, "it clocks every register and memory")
            return found.name if found else None
        rules.check_input("clock", given, self.graph, self.names, self.faults)
        if found and given != found.name and given in self.graph.signals:
            message = (
                f"'{given}' clocks nothing; every register is clocked by '{named(found.name)}'"
            )
            self.faults.add("clock", message)
        return given

    def _reset(self, clock: str | None) -> ResetLine | None:
        said = self.section.reset
        if said:
            rules.check_input("reset", said.signal, self.graph, self.names, self.faults)
            known = {reset.signal: reset.asynchronous for reset in self.design.resets}
            return ResetLine(
                signal=said.signal,
                active_low=said.active == "low",
                asynchronous=known.get(said.signal, False),
                cycles=said.cycles,
            )
        inputs = {port.name for port in self.inputs if port.name != clock}
        there = [reset for reset in self.design.resets if reset.signal in inputs]
        taken, _ = resets.recognised(there, self.graph)
        if not taken:
            return None
        first = min(taken, key=lambda reset: not reset.asynchronous)
        what = "an asynchronous" if first.asynchronous else "a synchronous"
        others = [named(reset.signal) for reset in taken if reset is not first]
        more = f"; left public: {', '.join(others[:5])}" if others else ""
        low = "low" if first.active_low else "high"
        self._infer("reset", first.signal, f"{what} reset, active {low}{more}")
        return ResetLine(
            signal=first.signal,
            active_low=first.active_low,
            asynchronous=first.asynchronous,
            cycles=_RESET_CYCLES,
        )

    def _shares(self) -> list[Shares]:
        found = []
        for name, row in self.section.shares.items():
            texts = row.of if isinstance(row, ArithmeticShares) else row
            modulus = row.modulus if isinstance(row, ArithmeticShares) else None
            of = self._all(f"shares.{name}", texts)
            if len(of) == len(texts):
                rules.check_shares(name, of, modulus, self.names, self.faults)
            found.append(Shares(name=name, of=tuple(of), modulus=modulus))
        return found

    def _given_start(self) -> Bits | None:
        said = self.section.start
        if said is None:
            return None
        rules.check_input("start", said.signal, self.graph, self.names, self.faults)
        return next(iter(self._all("start", [said.signal])), None)

    def _given_done(self) -> Bits | None:
        said = self.section.done
        if said is None or said.signal is None:
            return None
        return next(iter(self._all("done", [said.signal])), None)

    def _public(self, given: list[Bits], roles: Roles) -> list[Bits]:
        rest = [
            bits
            for port in self.inputs
            for bits in self.names.parts(
                port, [n for n, bit in enumerate(port.bits) if roles.is_free(bit)]
            )
        ]
        if rest:
            why = IN_NO_LIST if given else "no other role was given to them"
            self._infer("public", ", ".join(bits.text for bits in rest), why)
        return [*given, *rest]

    def _infer_start(self, roles: Roles) -> Bits | None:
        free = [v.name for v in self.inputs if len(v.bits) == 1 and roles.may_start(v.bits[0])]
        name = infer.best(free, infer.START)
        if name is None:
            return None
        self._infer("start", name, "the input whose name fits best")
        return self.names.find(name)

    def _infer_done(self) -> Bits | None:
        free = [v.name for v in self.outputs if len(v.bits) == 1 and infer.ends(v.name)]
        name = infer.best(free, infer.DONE)
        if name is None:
            return None
        self._infer("done", name, "the output whose name fits best")
        return self.names.find(name)

    def _observables(
        self, clock: str | None, done: Bits | None, secrets: Sequence[Bits]
    ) -> list[Bits]:
        given = self._all("observables", self.section.observables)
        if self.section.observables:
            rules.check_observables(given, secrets, self.names, self.faults)
            return given
        clocks = self.graph.signals[clock].bits if clock else ()
        found: list[Bits] = []
        for port in self.outputs:
            seen, why = infer.observable(port.name, len(port.bits))
            if done and port.name == done.name:
                seen, why = True, "it ends the operation"
            if not set(port.bits).isdisjoint(clocks):
                seen, why = False, "it carries the clock"
            self._infer("observables" if seen else "unobserved", port.name, why)
            found += self.names.parts(port, range(len(port.bits))) if seen else ()
        if not found and self.timed:
            self.faults.add(
                "observables",
                "no output shows the timing by its name (all look like data); name them in "
                "interface.observables",
            )
        return found

    def _unobserved(self, observables: Sequence[Bits]) -> list[str]:
        seen = {(bits.name, n) for bits in observables for n in bits.positions}
        return [
            bits.text
            for port in self.outputs
            for bits in self.names.parts(
                port, [n for n in range(len(port.bits)) if (port.name, n) not in seen]
            )
        ]
