"""The bit-sliced simulation: the same as a slow interpreter, compiled or not, in any pieces."""

import random

import numpy as np
import pytest
from gate_reference import case, controls, graph_of, integer, run, sums
from hypothesis import given, settings
from hypothesis import strategies as st

from openforge import native
from openforge.analysis import bitsliced_native, bitsliced_numpy
from openforge.analysis.bitsliced import Model, ProbingSet, simulation
from openforge.analysis.gates import gates
from openforge.analysis.stimulus import FRESH, Draw, Stimulus, Variable, bits_of
from openforge.engines.side_channel import gathering
from gate_reference import random_stimulus

KEY, BATCH = 0x123456789ABCDEF, 3
SEEDS = st.integers(0, 2**32 - 1)
SYNCHRONOUS = ("DFF", "DFFE", "SDFF", "SDFFE", "SDFFCE", "ALDFF", "ALDFFE")


def made(seed, model, **kinds):
    """A simulation of a random netlist, with its graph and gates."""
    graph, draw = case(seed, **kinds)
    found = gates(graph, "clk")
    return graph, found, simulation(found, random_stimulus(draw, found), model, KEY)


def bits(found):
    """The nets of `Gates` that are counted: inputs and outputs of cells, by their bits."""
    return {**found.inputs, **found.nets}


def without_delay(graph, found, sim):
    """The outputs of registers that are seen when they are stored: nothing loads them."""

    def constant(cell, port):
        (bit,) = cell.inputs.get(port, ("0",))
        return isinstance(bit, str) or sim.tape.constant[found.nets[bit]] >= 0

    shown = set()
    for cell in graph.cells:
        if "DFF" in cell.type:
            family, _, _ = controls(cell)
            ports = "" if family.startswith("SDFF") else "LSR"
            if all(constant(cell, port) for port in ports):
                shown.add(cell.outputs["Q"][0])
    return shown


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_values_and_power(seed):
    """All nets, the power by distance and the power by weight are the slow interpreter's."""
    graph, found, sim = made(seed, Model.HAMMING_DISTANCE)
    weight = simulation(found, sim.stimulus, Model.HAMMING_WEIGHT, KEY)
    seen = run(graph, "clk", found, sim.stimulus, KEY, BATCH)
    nets = bits(found)
    values = sim.values(BATCH, list(nets.values()))
    power, weights = sim.power(BATCH, 1), weight.power(BATCH, 1)
    moving = [bit for bit, net in nets.items() if sim.tape.constant[net] < 0]
    for bit, net in nets.items():
        assert sim.initially(net) == seen[0].values[bit] & 1 or bit >= 100
    for cycle in range(sim.n_cycles):
        now, before = seen[cycle + 1].values, seen[cycle].values
        for n, bit in enumerate(nets):
            assert integer(values[cycle, n]) == now[bit], (cycle, bit)
        assert (power[:, cycle] == sums(now[bit] ^ before[bit] for bit in nets)).all()
        assert (weights[:, cycle] == sums(now[bit] for bit in moving)).all()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_glitches(seed):
    """The power by toggles counts every change of every net, each gate with a delay of one."""
    graph, found, sim = made(seed, Model.TOGGLE_COUNT, families=SYNCHRONOUS)
    shown = without_delay(graph, found, sim)
    seen = run(graph, "clk", found, sim.stimulus, KEY, BATCH, shown)
    power = sim.power(BATCH, 1)
    for cycle in range(sim.n_cycles):
        steps = seen[cycle + 1].steps
        assert (power[:, cycle] == sums(x for step in steps for x in step.values())).all()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, model=st.sampled_from(list(Model)))
def test_compiled_equals_numpy(seed, model):
    """The compiled part, which skips what is idle, gives numpy's numbers, which skips nothing."""
    library = native.library()
    if library is None:
        pytest.skip("the compiled part is not built here")
    _, _, sim = made(seed, model)
    draw = random.Random(seed)
    fast, slow = bitsliced_native.Engine(library), bitsliced_numpy.Engine()
    first, count = draw.randrange(100), draw.randint(1, 10)
    assert (fast.power(sim, first, count) == slow.power(sim, first, count)).all()
    vectors = np.arange(sim.tape.n_nets, dtype=np.uint32)
    assert (fast.values(sim, first, vectors) == slow.values(sim, first, vectors)).all()
    begin = draw.randrange(sim.n_cycles)
    end = draw.randint(begin + 1, sim.n_cycles)
    toggled = [engine.toggles(sim, first, count, begin, end) for engine in (fast, slow)]
    assert (toggled[0] == toggled[1]).all()
    origin = np.array([draw.randrange(8) for _ in range(sim.n_cycles)], np.int64)
    counted = [engine.histogram(sim, first, count, origin, 9) for engine in (fast, slow)]
    assert (counted[0][0] == counted[1][0]).all()
    assert counted[0][1] == counted[1][1]
    tables = [engine.tables(sim, first, count, random_sets(draw, sim)) for engine in (fast, slow)]
    assert all((a == b).all() for a, b in zip(*tables, strict=True)) or not random_sets(draw, sim)


def random_sets(draw, sim):
    """Probing sets of random vectors, some with fewer bits than vectors."""
    draw = random.Random(sim.tape.n_nets)
    found = []
    for _ in range(4):
        size = draw.randint(1, 12)
        vectors = tuple(draw.randrange(sim.tape.n_nets) for _ in range(size))
        before = tuple(draw.random() < 0.5 for _ in range(size))
        found.append(ProbingSet(vectors, before, min(size, draw.randint(2, 12))))
    return found


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_tables_and_toggles_count(seed):
    """Histograms, toggles and tables of sets are counts of what power and values say."""
    _, _, sim = made(seed, Model.HAMMING_DISTANCE)
    classes = bits_of(np.array([_class_words(sim, BATCH)])).astype(int)
    power = sim.power(BATCH, 1)
    origin = np.zeros(sim.n_cycles, np.int64)
    counted, outside = sim.histogram(BATCH, 1, origin, 256)
    assert outside == 0
    assert sim.histogram(BATCH, 1, origin + 1000, 4)[1] == 512 * sim.n_cycles
    toggled = sim.toggles(BATCH, 1, 0, sim.n_cycles)
    vectors = np.arange(sim.tape.n_nets, dtype=np.uint32)
    words = sim._engine().values(sim, BATCH, vectors)
    values = bits_of(words).reshape(sim.n_cycles, sim.tape.n_nets, 512)
    start = bits_of(_start(sim)).reshape(sim.tape.n_nets, 512)
    sets = random_sets(random, sim)
    tables = sim.tables(BATCH, 1, sets)
    for cycle in range(sim.n_cycles):
        for label in (0, 1):
            expected = np.bincount(power[classes == label, cycle], minlength=256)
            assert (counted[label, cycle] == expected).all()
        now, before = values[cycle], values[cycle - 1] if cycle else start
        changed = now ^ before
        assert (toggled[cycle, :, 1] == changed.sum(axis=1)).all()
        assert (toggled[cycle, :, 0] == changed[:, classes == 0].sum(axis=1)).all()
        for probes, table in zip(sets, tables, strict=True):
            if not probes.exact:
                assert table[cycle].sum() == 512
                continue
            cell = sum(
                (before if earlier else now)[vector].astype(int) << n
                for n, (vector, earlier) in enumerate(
                    zip(probes.vectors, probes.before, strict=True)
                )
            )
            for label in (0, 1):
                expected = np.bincount(cell[classes == label], minlength=1 << probes.bits)
                assert (table[cycle, label] == expected).all()


def _class_words(sim, batch):
    from gate_reference import slot

    words = slot(KEY, batch, 0, sim.stimulus.n_slots)
    return [words >> 64 * n & (2**64 - 1) for n in range(8)]


def _start(sim):
    run_of = bitsliced_numpy._Run(sim, np.array([BATCH], np.uint64))
    for vector, source in zip(sim.plan.poke_vector, sim.plan.poke_source, strict=True):
        run_of._state[vector] = run_of.source(int(source))
    run_of._settle()
    return run_of._state
