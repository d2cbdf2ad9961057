"""The bit-sliced simulation: the same as a slow interpreter, compiled or not, in any pieces."""

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from conftest import needs, needs_compiled
from gate_reference import (
    COMBINATIONAL,
    FAMILIES,
    case,
    controls,
    graph_of,
    integer,
    random_stimulus,
    run,
    slot,
    sources,
    sums,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from openforge.analysis import bitsliced_native, bitsliced_numpy
from openforge.analysis.bitsliced import Model, ProbingSet, simulation
from openforge.analysis.gates import Gate, Gates, Kind, gates
from openforge.analysis.stimulus import FRESH, Stimulus, bits_of
from openforge.analysis.tape import tape
from openforge.engines.side_channel import gathering
from openforge.tools import process
from openforge.tools.locate import program

KEY, BATCH = 0x123456789ABCDEF, 3
SEEDS = st.integers(0, 2**32 - 1)
ONE_LOAD = ("DFF", "DFFE", "SDFF", "SDFFE", "SDFFCE", "ALDFF", "ALDFFE")
NO_SET = tuple(family for family in FAMILIES if not family.startswith("DFFSR"))


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


def test_values_are_those_of_the_cells():
    """All nets are the slow interpreter's, in every cycle and before the first."""

    @settings(max_examples=40, deadline=None)
    @given(seed=SEEDS)
    def check(seed):
        graph, found, sim = made(seed, Model.HAMMING_DISTANCE)
        seen = run(graph, found, sim.stimulus, KEY, BATCH)
        nets = bits(found)
        values = sim.values(BATCH, list(nets.values()))
        if not sim.stimulus.pokes:
            assert all(sim.initially(net) == seen[0].values[bit] & 1 for bit, net in nets.items())
        for cycle in range(sim.n_cycles):
            now = seen[cycle + 1].values
            assert all(integer(values[cycle, n]) == now[bit] for n, bit in enumerate(nets))

    check()


def power_is_right(graph, found, stimulus):
    """Whether power by distance and by weight is what the slow interpreter counts."""
    distance, weight = (
        simulation(found, stimulus, model, KEY)
        for model in (Model.HAMMING_DISTANCE, Model.HAMMING_WEIGHT)
    )
    seen = run(graph, found, stimulus, KEY, BATCH)
    power, weights, nets = distance.power(BATCH, 1), weight.power(BATCH, 1), bits(found)
    moving = [bit for bit, net in nets.items() if distance.tape.constant[net] < 0]
    for cycle in range(stimulus.n_cycles):
        now, before = seen[cycle + 1].values, seen[cycle].values
        if (power[:, cycle] != sums(now[bit] ^ before[bit] for bit in nets)).any():
            return False
        if (weights[:, cycle] != sums(now[bit] for bit in moving)).any():
            return False
    return True


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_power_counts_every_net_once(seed):
    """The power of a cycle is the number of nets that have changed, or by weight, that are 1."""
    graph, found, sim = made(seed, Model.HAMMING_DISTANCE, families=NO_SET)
    assert power_is_right(graph, found, sim.stimulus)


@pytest.mark.parametrize("constant", ["SR", "S", "R", ""])
def test_a_register_with_set_and_reset_counts_once(constant):
    """Set and reset are inside the register: it is one net, whatever of them never changes."""
    pins = {"C": 2, "D": 3, "S": 4, "R": 5}
    graph = graph_of({"clk": 2, "d": 3, "s": 4, "r": 5}, [("$_DFFSR_PPP_", pins, 10)])
    found = gates(graph, "clk")
    d, s, r = (found.inputs[bit] for bit in (3, 4, 5))
    moving = [d, *([] if "S" in constant else [s]), *([] if "R" in constant else [r])]
    events = [{net: FRESH + 1 + 3 * n + k for k, net in enumerate(moving)} for n in range(6)]
    idle = dict.fromkeys((d, s, r), False)
    assert power_is_right(graph, found, Stimulus(6, 20, (), (), (idle, idle), tuple(events)))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_glitches(seed):
    """The power by toggles counts every change of every net, each gate with a delay of one."""
    graph, found, sim = made(seed, Model.TOGGLE_COUNT, families=ONE_LOAD)
    shown = without_delay(graph, found, sim)
    seen = run(graph, found, sim.stimulus, KEY, BATCH, settled=shown)
    power = sim.power(BATCH, 1)
    for cycle in range(sim.n_cycles):
        steps = seen[cycle + 1].steps
        assert (power[:, cycle] == sums(x for step in steps for x in step.values())).all()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, model=st.sampled_from(list(Model)))
def test_compiled_equals_numpy(seed, model):
    """The compiled part, which skips what is idle, gives numpy's numbers, which skips nothing."""
    library = needs_compiled()
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
    counts = sim.tape.weight == 1
    assert (toggled[0][:, counts] == toggled[1][:, counts]).all()
    origin = np.array([draw.randrange(8) for _ in range(sim.n_cycles)], np.int64)
    counted = [engine.histogram(sim, first, count, origin, 9) for engine in (fast, slow)]
    assert (counted[0][0] == counted[1][0]).all()
    assert counted[0][1] == counted[1][1]
    sets = random_sets(sim)
    tables = [engine.tables(sim, first, count, sets) for engine in (fast, slow)]
    assert all((a == b).all() for a, b in zip(*tables, strict=True))


def test_registers_inside_cells_toggle():
    """The toggles of a vector do not depend on the engine, even if it is inside a cell."""
    library = needs_compiled()
    cells = [("$_DFF_PP0_", {"C": 2, "D": 3, "R": 4}, 10)]
    found = gates(graph_of({"clk": 2, "d": 3, "r": 4}, cells), "clk")
    d, r = (found.inputs[bit] for bit in (3, 4))
    events = tuple({d: FRESH + 1 + n, r: FRESH + 5 + n} for n in range(4))
    stimulus = Stimulus(4, 20, (), (), ({d: False, r: False},), events)
    sim = simulation(found, stimulus, Model.HAMMING_DISTANCE, KEY)
    fast, slow = bitsliced_native.Engine(library), bitsliced_numpy.Engine()
    assert (fast.toggles(sim, 0, 1, 0, 4) == slow.toggles(sim, 0, 1, 0, 4)).all()


def random_sets(sim):
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
    classes = bits_of(np.array(_class_words(sim, BATCH), np.uint64)).astype(int)
    power = sim.power(BATCH, 1)
    origin = np.zeros(sim.n_cycles, np.int64)
    counted, outside = sim.histogram(BATCH, 1, origin, 256)
    assert outside == 0
    assert sim.histogram(BATCH, 1, origin + 1000, 4)[1] == 512 * sim.n_cycles
    toggled, counts = sim.toggles(BATCH, 1, 0, sim.n_cycles), sim.tape.weight == 1
    vectors = np.arange(sim.tape.n_nets, dtype=np.uint32)
    words = sim._engine().values(sim, BATCH, vectors)
    values = bits_of(words).reshape(sim.n_cycles, sim.tape.n_nets, 512)
    start = bits_of(_start(sim)).reshape(sim.tape.n_nets, 512)
    sets = random_sets(sim)
    tables = sim.tables(BATCH, 1, sets)
    for cycle in range(sim.n_cycles):
        for label in (0, 1):
            expected = np.bincount(power[classes == label, cycle], minlength=256)
            assert (counted[label, cycle] == expected).all()
        now, before = values[cycle], values[cycle - 1] if cycle else start
        changed = now ^ before
        fixed = changed[:, classes == 0].sum(axis=1)
        assert (toggled[cycle, counts, 1] == changed.sum(axis=1)[counts]).all()
        assert (toggled[cycle, counts, 0] == fixed[counts]).all()
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
    words = slot(KEY, batch, 0, sim.stimulus.n_slots)
    return [words >> 64 * n & (2**64 - 1) for n in range(8)]


def _start(sim):
    started = bitsliced_numpy._Run(sim, np.array([BATCH], np.uint64))
    for vector, source in zip(sim.plan.poke_vector, sim.plan.poke_source, strict=True):
        started._state[vector] = started.source(int(source))
    started._settle()
    return started._state


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_a_tape_for_more_stimuli_gives_the_same(seed):
    """With a tape in which nothing is constant, values and power by distance are the same."""
    _, found, sim = made(seed, Model.HAMMING_DISTANCE, families=NO_SET)
    free = simulation(found, sim.stimulus, sim.model, KEY, tape(found, {}))
    nets = list(found.nets.values())
    assert (free.values(BATCH, nets) == sim.values(BATCH, nets)).all()
    assert (free.power(BATCH, 1) == sim.power(BATCH, 1)).all()
    assert all(free.initially(net) == sim.initially(net) for net in nets)


def idle_blocks(n_blocks=6, width=12):
    """Blocks of a shift register, a swap and gates, each behind an enable of its own."""
    inputs = {"clk": 2, "d": 3} | {f"e{n}": 4 + n for n in range(n_blocks)}
    cells, bit = [], 100
    for block in range(n_blocks):
        q, enable = list(range(bit, bit + width)), 4 + block
        for n in range(width):
            data = q[n - 1] if n > 1 else (q[1] if n == 0 else 3 if block % 2 else q[0])
            kind = "$_DFFE_PP_" if block % 3 else "$_SDFFCE_PP1P_"
            pins = {"C": 2, "D": data, "E": enable} | ({"R": 3} if "S" in kind else {})
            cells.append((kind, pins, q[n]))
        for n in range(width):
            pins = {"A": q[n], "B": q[n - 1] if n % 2 else 3}
            cells.append(("$_NAND_" if n % 3 else "$_XOR_", pins, bit + width + n))
        bit += 2 * width
    return graph_of(inputs, cells, {100: "1", 125: "1", 150: "1"})


@pytest.mark.parametrize("model", list(Model))
def test_what_is_idle_is_skipped_without_a_trace(model):
    """Enables, shift registers and swaps that move now and then: as if nothing were skipped."""
    graph = idle_blocks()
    found = gates(graph, "clk")
    draw = random.Random(5)
    nets = list(found.inputs.values())
    events = tuple(
        {net: draw.choice((0, 1, FRESH + 1 + cycle)) for net in nets if draw.random() < 0.15}
        for cycle in range(60)
    )
    idle = dict.fromkeys(nets, False)
    stimulus = Stimulus(60, 80, (), (), (idle, idle), events)
    sim = simulation(found, stimulus, model, KEY)
    assert (sim.power(BATCH, 2) == sim.power_by_numpy(BATCH, 2)).all()
    if model is Model.HAMMING_DISTANCE:
        seen = run(graph, found, stimulus, KEY, BATCH)
        nets = bits(found)
        quiet = [sums(a.values[b] ^ z.values[b] for b in nets) for z, a in pairwise(seen)]
        assert (sim.power(BATCH, 1) == np.array(quiet).T).all()
        assert any(not row.any() for row in quiet)
        assert any(row.any() for row in quiet)


@pytest.mark.parametrize("workers", [1, 3])
def test_sums_are_the_same_in_any_pieces(workers, monkeypatch):
    """Histograms, toggles and tables do not depend on pieces, their order or the workers."""
    _, _, sim = made(8, Model.TOGGLE_COUNT)
    total = 13
    whole = sim.toggles(0, total, 0, sim.n_cycles)
    sets = random_sets(sim)
    tables = sim.tables(0, total, sets)
    power = sim.power(0, total)
    monkeypatch.setattr(gathering, "n_workers", lambda: workers)
    monkeypatch.setattr(gathering, "_PIECE", 2)
    monkeypatch.setattr(gathering, "_TOGGLE_BYTES", 16 * sim.tape.n_nets)
    parts = list(gathering.toggles(sim, total))
    assert len(parts) == -(-sim.n_cycles // 2)
    assert [begin for begin, _ in parts] == list(range(0, sim.n_cycles, 2))
    assert (np.concatenate([part for _, part in parts]) == whole).all()
    assert all(
        (a == b).all() for a, b in zip(gathering.tables(sim, total, sets), tables, strict=True)
    )
    *_, (n_traces, counts) = gathering.histograms(sim, total)
    assert n_traces == 512 * total == sum(gathering.class_sizes(counts))
    for cycle in range(sim.n_cycles):
        values, number = np.unique(power[:, cycle], return_counts=True)
        row = counts.counts.sum(axis=0)[cycle]
        at = values.astype(int) - counts.origin[cycle]
        assert (row[at] == number).all()
        assert row.sum() == number.sum()


def test_batches_are_independent():
    """A batch is the same alone, in a range, backwards and in threads."""
    _, _, sim = made(21, Model.HAMMING_DISTANCE)
    whole = sim.power(7, 9)
    alone = [sim.power(batch, 1) for batch in reversed(range(7, 16))][::-1]
    assert (np.concatenate(alone) == whole).all()
    with ThreadPoolExecutor(4) as pool:
        assert all((a == whole).all() for a in pool.map(lambda _: sim.power(7, 9), range(8)))
    assert (sim.power_by_numpy(7, 9) == whole).all()


def test_more_nets_than_sixteen_bits_count():
    """A power above 65535, of which the counter has two halves."""
    copies = tuple(Gate(Kind.BUF, 2 + n, bool(n % 2), 2) for n in range(70000))
    found = Gates(graph_of({"d": 3}, []), 70002, {3: 1}, {3: 1}, copies, ())
    stimulus = Stimulus(1, 2, (), (), ({1: False},), ({1: FRESH + 1},))
    sim = simulation(found, stimulus, Model.HAMMING_DISTANCE, 1)
    assert set(np.unique(sim.power(0, 1)).tolist()) == {0, 70001}


def verilog(graph, steps):
    """A bench in which a gate has a delay of one and every net is 64 traces wide.

    The delay is a transport delay (``<= #1``): with ``assign #1``, which is inertial, a pulse as
    wide as the delay may or may not pass. Values are read between two units of time, so that what
    changes and changes back in the same moment, in whatever order, is no change.
    """
    bits_ = [b for v in graph.inputs for b in v.bits if v.name != "clk"]
    outs = {c.outputs["Y" if "Y" in c.outputs else "Q"][0]: c for c in graph.cells}
    lines = ["module bench;", "reg kick = 0; integer file;"]
    lines += [f"reg [63:0] n{bit} = 0;" for bit in (*bits_, *outs)]
    operators = {"AND": "a & b", "OR": "a | b", "XOR": "a ^ b", "ANDNOT": "a & ~b"}
    operators |= {"NAND": "~(a & b)", "NOR": "~(a | b)", "XNOR": "~(a ^ b)", "ORNOT": "a | ~b"}
    operators |= {"NOT": "~a", "BUF": "a", "MUX": "(b & s) | (a & ~s)"}
    operators |= {"NMUX": "~((b & s) | (a & ~s))"}
    registers = []
    for out, cell in outs.items():
        pin = {
            port.lower(): f"n{b[0]}" if isinstance(b[0], int) else f"{{64{{1'b{b[0]}}}}}"
            for port, b in cell.inputs.items()
        }
        if cell.type == "$_DFF_P_":
            registers.append((out, pin["d"]))
            lines[-1] += f" initial n{out} = {{64{{1'b{graph.initial.get(out, '0')}}}}};"
            continue
        text = operators[cell.type.strip("$_")]
        text = "".join(pin.get(letter, letter) for letter in text)
        lines.append(f"always @({' or '.join([*set(pin.values()), 'kick'])}) n{out} <= #1 {text};")
    nets = ", ".join(f"n{bit}" for bit in (*bits_, *outs))
    lines.append('initial begin file = $fopen("toggles"); #1 kick = 1; #199;')
    for step in steps:
        lines += [f"n{out} <= {data};" for out, data in registers]
        lines += [f"n{bit} <= 64'h{value:x};" for bit, value in step.items()]
        lines.append(f'repeat (100) begin #0.5 $fdisplay(file, "%h", {{{nets}}}); #0.5; end')
    return "\n".join([*lines, "$finish; end", "endmodule"]).replace(
        "module bench;", "`timescale 1ns/100ps\nmodule bench;"
    )


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_glitches_on_icarus(seed, tmp_path):
    """Another simulator sees as many changes in each trace and cycle, gates having a delay."""
    needs("icarus")
    draw = random.Random(seed)
    inputs = {"clk": 2} | {f"i{n}": 3 + n for n in range(6)}
    names, cells = [*range(3, 9), *range(100, 106), "0", "1"], []
    for number in range(60):
        kind = draw.choice(tuple(COMBINATIONAL))
        pins = {port: draw.choice(names[-14:]) for port in COMBINATIONAL[kind][0]}
        cells.append((kind, pins, 200 + number))
        names.append(200 + number)
    cells += [("$_DFF_P_", {"C": 2, "D": draw.choice(names)}, 100 + n) for n in range(6)]
    graph = graph_of(inputs, cells, {101: "1", 104: "1"})
    found = gates(graph, "clk")
    nets = list(found.inputs.items())
    events = tuple(
        {net: FRESH + 1 + 6 * cycle + k for k, (_, net) in enumerate(nets)} for cycle in range(8)
    )
    stimulus = Stimulus(8, 50, (), (), (dict.fromkeys(found.inputs.values(), False),), events)
    read = sources(stimulus, KEY, 0)
    steps = [{bit: read(row[net]) & (2**64 - 1) for bit, net in nets} for row in events]
    (tmp_path / "bench.v").write_text(verilog(graph, steps), "ascii")
    compiler = program("icarus")
    for words in (
        [compiler, "-g2012", "-o", "bench", "bench.v"],
        [compiler.with_name("vvp"), "-N", "bench"],
    ):
        process.run(words, cwd=tmp_path, log=tmp_path / "log", writable=[tmp_path]).expect("Icarus")
    rows = (tmp_path / "toggles").read_text("ascii").split()
    data = np.array([np.frombuffer(bytes.fromhex(row), np.uint8) for row in rows])
    lanes = np.unpackbits(data, axis=1).reshape(8, 100, -1, 64)[..., ::-1]
    start = run(graph, found, stimulus, KEY, 0)[0].values
    order = [*found.inputs, *(c.outputs["Y" if "Y" in c.outputs else "Q"][0] for c in graph.cells)]
    before = np.array([start[bit] & 1 for bit in order], np.uint8)[:, None].repeat(64, axis=1)
    flat = np.concatenate([before[None], lanes.reshape(800, -1, 64)])
    toggles = (flat[1:] != flat[:-1]).reshape(8, 100, -1, 64).sum(axis=(1, 2))
    power = simulation(found, stimulus, Model.TOGGLE_COUNT, KEY).power(0, 1)[:64]
    assert (toggles == power.T).all()
    settled = simulation(found, stimulus, Model.HAMMING_DISTANCE, KEY).power(0, 1)[:64]
    assert (power >= settled).all()
    assert (power > settled).any()  # there are glitches
