"""From the security annotation to the question of two copies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from openforge.analysis import cells, taint
from openforge.analysis.cells import Graph
from openforge.analysis.two_safety import Question, ResetSequence
from openforge.design import Design
from openforge.engines.constant_time import assumptions
from openforge.errors import DesignError
from openforge.interface import Bits, Interface, Kind
from openforge.interface_names import Names


@dataclass(frozen=True)
class Signal:
    """A signal of the interface and its nets in the netlist; those of constants are left out."""

    bits: Bits
    nets: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """The question, with the signals that it is about.

    `equal` are taken to be equal: declassified signals, and those of ``public(x)``. `free` are the
    secrets of which no bit can differ then.
    """

    question: Question
    secrets: tuple[Signal, ...]
    observed: tuple[Signal, ...]
    equal: tuple[Signal, ...]
    free: tuple[Signal, ...]


def ask(
    design: Design, graph: Graph, interface: Interface, work: Path, *, strict: bool = False
) -> Asked:
    """The question of `interface` on `graph`.

    Raises DesignError for an assumption that is no Verilog or an observable that is a constant or a
    secret, ContradictionError for an assumption that is never true.
    """
    names = Names(design, graph)
    declassified = [_signal(graph, entry.bits) for entry in interface.declassify]
    inferred = any(entry.field == "observables" for entry in interface.inferred)
    public = [_signal(graph, names.find(x)) for x in assumptions.publics(interface)]
    open_ = {net for signal in declassified for net in signal.nets}
    seen = [_signal(graph, bits) for bits in interface.observables]
    if inferred:  # an output that is tied to a constant is no choice of the user's
        seen = [signal for signal in seen if signal.nets]
    observed = tuple(
        Signal(signal.bits, tuple(net for net in signal.nets if net not in open_))
        for signal in seen
        if not signal.nets or not open_.issuperset(signal.nets)
    )
    if not any(signal.nets for signal in observed):
        raise DesignError(
            "nothing is left to observe: every observable is a constant or declassified; name "
            "others in verification.crypto_verification.interface.observables"
        )
    _refuse_assumed(public, observed)
    _refuse_state(graph, public)
    equal = [*declassified, *public]
    secrets = tuple(_signal(graph, bits) for bits in interface.secrets)
    signed = {port.name for port in design.ports if port.signed}
    assumed = assumptions.add(graph, interface, signed, work)
    shared = tuple(dict.fromkeys(net for signal in equal for net in signal.nets))
    question = Question(
        graph=assumed.graph,
        observed=tuple(dict.fromkeys(net for signal in observed for net in signal.nets)),
        secret=_nets(secrets, Kind.INPUT).difference(shared),
        held=_nets(secrets, Kind.REGISTER, Kind.NET),
        memories={
            s.bits.name: _words(graph, s.bits) for s in secrets if s.bits.kind is Kind.MEMORY
        },
        shared=shared,
        assumed=assumed.nets,
        constants=_constants(graph, interface),
        reset=_reset(graph, interface),
        strict=strict,
        start=_net(graph, interface.start),
        done=_net(graph, interface.done),
    )
    _refuse_wires(graph, secrets)
    free = tuple(s for s in secrets if s.nets and set(s.nets) <= set(shared))
    return Asked(question, secrets, observed, tuple(equal), free)


def _signal(graph: Graph, bits: Bits) -> Signal:
    if bits.kind is Kind.MEMORY:
        return Signal(bits, tuple(cells.nets(graph.memories[bits.name].outputs["RD_DATA"])))
    vector = graph.signals[bits.name].bits
    return Signal(bits, tuple(cells.nets(vector[n] for n in bits.positions)))


def _nets(signals: Iterable[Signal], *kinds: Kind) -> frozenset[int]:
    return frozenset(net for s in signals if s.bits.kind in kinds for net in s.nets)


def _words(graph: Graph, bits: Bits) -> frozenset[int]:
    memory = graph.memories[bits.name]
    return frozenset(bits.positions or memory.addresses)


def _net(graph: Graph, bits: Bits | None) -> int | None:
    if bits is None:
        return None
    return next(iter(_signal(graph, bits).nets), None)


def _constants(graph: Graph, interface: Interface) -> dict[int, int]:
    return {
        net: value >> position & 1
        for name, value in interface.constants.items()
        for position, net in enumerate(graph.signals[name].bits)
        if isinstance(net, int)
    }


def _reset(graph: Graph, interface: Interface) -> ResetSequence | None:
    line = interface.reset
    if line is None:
        return None
    net = graph.signals[line.signal].bits[0]
    assert isinstance(net, int)  # an input
    return ResetSequence(net, 0 if line.active_low else 1, line.cycles)


def _refuse_state(graph: Graph, public: Iterable[Signal]) -> None:
    """Raises DesignError for ``public(x)`` of a register, or of logic behind one.

    An assumption is about what the design is given. What it makes of secrets is declassified, with
    a reason.
    """
    for signal in public:
        stack, seen = list(signal.nets), set(signal.nets)
        while stack:
            driver = graph.drivers.get(stack.pop())
            if driver is None:
                continue
            if driver.cell.is_register or driver.cell.is_memory:
                raise DesignError(
                    f"interface.assume: public({signal.bits.text}) speaks of what the design "
                    "keeps; if that may depend on secrets, declassify it with a reason"
                )
            fresh = set(cells.nets(taint.depends(driver.cell, driver.port, driver.position)))
            stack += fresh - seen
            seen |= fresh


def _refuse_assumed(public: Iterable[Signal], observed: Iterable[Signal]) -> None:
    """Raises DesignError when what is to be shown, that something is equal, is assumed."""
    for signal in observed:
        for other in public:
            if not set(signal.nets).isdisjoint(other.nets):
                raise DesignError(
                    f"interface.assume: public({other.bits.text}) assumes what is to be shown of "
                    f"the observable {signal.bits.text}; declassify it if it may differ"
                )


def _refuse_wires(graph: Graph, secrets: Iterable[Signal]) -> None:
    """A secret must be somewhere: in an input, a register or a memory.

    Raises DesignError for a wire that logic computes: what differs there would have no cause.
    """
    kept = {bit for cell in graph.registers for bit in cell.outputs["Q"]}
    for signal in secrets:
        wires = [net for net in signal.nets if net in graph.drivers and net not in kept]
        if signal.bits.kind in (Kind.REGISTER, Kind.NET) and wires:
            raise DesignError(
                f"interface.secrets: '{signal.bits.text}' is a wire ({graph.called(wires[0])}); "
                "name the input, register or memory that the secret comes from"
            )
