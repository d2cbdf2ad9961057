"""Probing sets: all stable signals that a probe sees, and the values that they really have."""

import random

import pytest
from gate_reference import case, graph_of, random_stimulus
from hypothesis import given, settings
from hypothesis import strategies as st

from openforge.analysis import probing
from openforge.analysis.bitsliced import Model, simulation
from openforge.analysis.gates import gates
from openforge.analysis.probing import probes
from openforge.analysis.stimulus import FRESH, Stimulus

SEEDS = st.integers(0, 2**32 - 1)
PLAIN = ("DFF", "DFFE", "SDFF", "SDFFE", "SDFFCE")


def seen_by_probes(graph, sim):
    """For each net, by bits, the stable signals that its gates read: found by walking back.

    Stable are registers and inputs; an input that is the same in all traces says nothing.
    """
    outputs = {c.outputs["Q" if "DFF" in c.type else "Y"][0]: c for c in graph.cells}
    bit_of = {net: bit for bit, net in sim.gates.inputs.items()}
    varying = {
        bit_of[net] for row in sim.stimulus.events for net, source in row.items() if source >= 2
    }

    def walk(bit):
        if isinstance(bit, str):
            return set()
        cell = outputs.get(bit)
        if cell is None:
            return {bit} & varying
        if "DFF" in cell.type:
            return {bit}
        return set().union(*(walk(b) for (b,) in cell.inputs.values()))

    return {bit: walk(bit) for bit in (*bit_of.values(), *outputs)}


def sets_of(sim, found):
    """The probing sets as sets of (bit, whether before), without pairs."""
    bit_of = {int(sim.tape.vector[net]): bit for bit, net in sim.gates.nets.items()}
    return [
        {(bit_of[vector], before) for vector, before in zip(s.vectors, s.before, strict=True)}
        for s in found.sets
    ]


def every(sim):
    """All nets, as if all were secret."""
    return [net for net, vector in enumerate(sim.tape.vector) if vector > 0]


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, transitions=st.booleans())
def test_sets_are_all_that_a_probe_sees(seed, transitions):
    """Every net's stable signals are in one set, and every set is what some net sees."""
    graph, draw = case(seed, families=PLAIN, n_gates=25)
    graph = without_asynchronous(graph)
    found = gates(graph, "clk")
    sim = simulation(found, random_stimulus(draw, found, pokes=False), Model.HAMMING_DISTANCE, 5)
    seen = seen_by_probes(graph, sim)
    probed = probes(sim, every(sim), transitions=transitions)
    assert probed.left_out == 0
    now = [{bit for bit, before in s if not before} for s in sets_of(sim, probed)]
    wide = {frozenset(s) for s in now}
    for bit, signals in seen.items():
        if signals and sim.tape.constant[found.nets[bit]] < 0:
            assert any(signals <= s for s in wide), bit
    for signals in now if not probed.hashed else ():  # there are no pairs among them
        assert signals in seen.values()
        assert sum(signals <= s for s in wide) == 1  # none contains another
    bit_of = {net: bit for bit, net in found.inputs.items()}
    events = (event for row in sim.stimulus.events[1:] for event in row.items())
    later = {bit_of[net] for net, source in events if source >= 2}
    for made in sets_of(sim, probed):
        before = {bit for bit, earlier in made if earlier}
        again = {bit for bit, _ in made if 100 <= bit < 200 or bit in later}
        assert again <= before if transitions else not before


def without_asynchronous(graph):
    """The netlist with registers that have no asynchronous reset."""
    cells = []
    for cell in graph.cells:
        if cell.type.startswith(("$_DFF_P", "$_DFFE_P")) and "R" in cell.inputs:
            pins = {port: bits[0] for port, bits in cell.inputs.items() if port in "CD"}
            cells.append(("$_DFF_P_", pins, cell.outputs["Q"][0]))
        else:
            (out,) = (bits[0] for bits in cell.outputs.values())
            cells.append((cell.type, {port: bits[0] for port, bits in cell.inputs.items()}, out))
    inputs = {port.name: port.bits[0] for port in graph.inputs}
    return graph_of(inputs, cells, graph.initial)


def masked(reset):
    """Two shares in registers that `reset` (a bit) resets, and a gate that sees both."""
    pins = {"C": 2, "R": reset}
    cells = [
        ("$_DFF_P_", {"C": 2, "D": 5}, 9),  # what synchronises a reset
        ("$_DFF_PP0_", pins | {"D": 3}, 10),
        ("$_DFF_PP0_", pins | {"D": 4}, 11),
        ("$_AND_", {"A": 10, "B": 11}, 12),
    ]
    graph = graph_of({"clk": 2, "a": 3, "b": 4, "r": 5}, cells)
    found = gates(graph, "clk")
    a, b, r = (found.inputs[bit] for bit in (3, 4, 5))
    idle = {a: False, b: False, r: False}
    events = tuple({a: FRESH + 1 + 2 * n, b: FRESH + 2 + 2 * n} for n in range(4))
    stimulus = Stimulus(4, 20, (), (), (idle, idle), events)
    return simulation(found, stimulus, Model.HAMMING_DISTANCE, 7)


def test_a_constant_reset_is_not_seen():
    """Of registers whose asynchronous reset is released, a gate behind them sees both."""
    sim = masked(5)
    assert {(10, False), (11, False)} in sets_of(sim, probes(sim, every(sim), transitions=False))


def test_a_reset_that_moves_hides_no_register():
    """With a reset that another register gives, a gate behind registers sees both as well."""
    sim = masked(9)
    vectors = {int(v) for v in sim.tape.vector if v >= 0}
    bits = {10, 11}
    stored = {int(sim.tape.vector[register.q]) for register in sim.gates.registers}
    for made in probes(sim, every(sim), transitions=False).sets:
        assert set(made.vectors) <= vectors
        shown = {int(sim.tape.vector[sim.gates.nets[bit]]) for bit in bits}
        if shown <= set(made.vectors) or len(stored & set(made.vectors)) >= 2:
            return
    raise AssertionError("no probe sees both registers")


def test_wide_sets_are_hashed_and_looked_at_in_pairs(monkeypatch):
    """A set with more signals than a table has bits is hashed, and all of its pairs are sets."""
    monkeypatch.setattr(probing, "_MOST_BITS", 9)
    monkeypatch.setattr(probing, "_HASHED_BITS", 7)
    cells = [("$_XOR_", {"A": 3, "B": 4}, 100)]
    cells += [("$_XOR_", {"A": 100 + n, "B": 5 + n}, 101 + n) for n in range(10)]
    found = gates(graph_of({f"i{n}": 3 + n for n in range(12)}, cells), None)
    nets = list(found.inputs.values())
    row = {net: FRESH + 1 + n for n, net in enumerate(nets)}
    stimulus = Stimulus(1, 20, (), (), (dict.fromkeys(nets, False),), (row,))
    sim = simulation(found, stimulus, Model.HAMMING_DISTANCE, 1)
    probed = probes(sim, nets, transitions=False)
    (wide,) = (made for made in probed.sets if not made.exact)
    pairs = [made for made in probed.sets if len(made.vectors) == 2]
    assert probed.hashed == 1 and probed.paired
    assert max(len(s.vectors) for s in probed.sets if s.exact) == 9  # the largest part that fits
    assert len(wide.vectors) == 12
    assert wide.bits == 7
    assert len(pairs) == 12 * 11 // 2
    assert all(pair.exact and len(pair.vectors) == 2 for pair in pairs)
    assert sim.tables(0, 1, [wide])[0].sum() == 512


def test_what_is_left_out_is_counted(monkeypatch):
    """Sets beyond the most that are looked at, and too wide ones, are counted."""
    cells = [("$_AND_", {"A": 3 + n, "B": 4 + n}, 100 + n) for n in range(9)]
    found = gates(graph_of({f"i{n}": 3 + n for n in range(10)}, cells), None)
    nets = list(found.inputs.values())
    row = {net: FRESH + 1 + n for n, net in enumerate(nets)}
    stimulus = Stimulus(1, 20, (), (), (dict.fromkeys(nets, False),), (row,))
    sim = simulation(found, stimulus, Model.HAMMING_DISTANCE, 1)
    assert len(probes(sim, nets, transitions=False).sets) == 9
    assert len(probes(sim, nets[:1], transitions=False).sets) == 1  # others see no secret
    monkeypatch.setattr(probing, "_MOST_SETS", 4)
    assert probes(sim, nets, transitions=False).left_out == 5
    monkeypatch.setattr(probing, "_MOST_BITS", 1)
    monkeypatch.setattr(probing, "_TOO_WIDE", 1)
    monkeypatch.setattr(probing, "_MOST_SETS", 99)
    assert probes(sim, nets, transitions=False).left_out == 9


@pytest.mark.parametrize("seed", range(20))
def test_largest_masks(seed):
    """Those sets are kept that are in no other one."""
    draw = random.Random(seed)
    masks = {draw.getrandbits(7) for _ in range(40)} - {0}
    largest = {m for m in masks if not any(m != o and m & o == m for o in masks)}
    kept = probing._maximal(masks)
    assert set(kept) == largest and len(kept) == len(largest)
