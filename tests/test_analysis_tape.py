"""The tape: every block after what it reads, flags for all that is read, exact constants."""

import random

import numpy as np
import pytest
from gate_reference import case, random_stimulus
from hypothesis import given, settings
from hypothesis import strategies as st
from test_analysis_gates import evaluated

from openforge.analysis.gates import gates
from openforge.analysis.tape import GROUP, Op, tape

SEEDS = st.integers(0, 2**32 - 1)


def random_tape(seed, *, delays=False):
    """Gates, constants and tape of a random netlist."""
    graph, draw = case(seed)
    found = gates(graph, "clk")
    constants = random_stimulus(draw, found).constants
    return found, constants, tape(found, constants, delays=delays)


def blocks(made):
    """For each block: its vectors, and the vectors that it reads, by operand."""
    for op, first, groups, at in zip(made.op, made.first, made.groups, made.operand, strict=True):
        size = int(groups) * GROUP
        read = [column[at : at + size] for column in (made.a, made.b, made.c)]
        yield Op(op), range(int(first), int(first) + size), read


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, delays=st.booleans())
def test_order(seed, delays):
    """A block writes eight vectors at a time, each vector once, and reads what is before it."""
    _, _, made = random_tape(seed, delays=delays)
    written = GROUP + made.n_inputs + made.n_registers
    assert made.first_register == GROUP + made.n_inputs
    for _, vectors, read in blocks(made):
        assert vectors.start == written
        assert all(column.max() < written for column in read)
        written = vectors.stop
    assert written == made.n_nets


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, delays=st.booleans())
def test_flags(seed, delays):
    """What a group of registers or a block depends on is exactly what it reads."""
    _, _, made = random_tape(seed, delays=delays)
    sources = [
        np.arange(GROUP + GROUP * n, 2 * GROUP + GROUP * n) for n in range(made.n_inputs // 8)
    ]
    first = made.first_register
    sources += [np.arange(first + 8 * n, first + 8 * n + 8) for n in range(made.n_registers // 8)]
    sources += [np.array(vectors) for _, vectors, _ in blocks(made)]
    assert made.n_flags == len(sources)
    flag = {int(vector): number for number, vs in enumerate(sources) for vector in vs}
    reading = [made.d[n : n + GROUP] for n in range(0, made.n_registers, GROUP)]
    reading += [np.concatenate(read) for _, _, read in blocks(made)]
    start, words, masks = made.depends
    for item, vectors in enumerate(reading):
        found = set()
        for n in range(start[item], start[item + 1]):
            found |= {64 * int(words[n]) + k for k in range(64) if int(masks[n]) >> k & 1}
        assert found == {flag[int(vector)] for vector in vectors if vector >= GROUP}
    assert len(start) == len(reading) + 1


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, delays=st.booleans())
def test_constants_are_constant(seed, delays):
    """A net that is said to be constant has that value whatever registers and inputs are."""
    found, constants, made = random_tape(seed, delays=delays)
    draw = random.Random(seed)
    free = [net for net in found.inputs.values() if net not in constants]
    free += [register.q for register in found.registers]
    for _ in range(20):
        values = evaluated(found, constants | {net: draw.randint(0, 1) for net in free})
        for net, value in enumerate(made.constant.tolist()):
            assert value in (-1, values[net])
    assert all(made.constant[net] == value for net, value in constants.items())


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, delays=st.booleans())
def test_visible_nets_have_vectors(seed, delays):
    """A visible net that is not constant has a vector, which no other visible net has."""
    found, _, made = random_tape(seed, delays=delays)
    visible = [*found.inputs.values(), *(g.out for g in found.gates if not g.hidden)]
    visible += [register.q for register in found.registers if not register.hidden]
    assert len(visible) == found.counted
    moving = [net for net in visible if made.constant[net] < 0]
    vectors = made.vector[moving]
    assert (vectors >= GROUP).all()
    assert len(set(vectors.tolist())) == len(moving)
    assert (made.weight[vectors] == 1).all()


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, delays=st.booleans())
def test_only_visible_nets_count(seed, delays):
    """As many vectors count as there are visible nets that can move."""
    graph, draw = case(seed, families=("DFF", "DFFE", "SDFF", "SDFFE", "SDFFCE", "ALDFFE"))
    found = gates(graph, "clk")
    made = tape(found, random_stimulus(draw, found).constants, delays=delays)
    visible = [*found.inputs.values(), *(g.out for g in found.gates if not g.hidden)]
    visible += [register.q for register in found.registers if not register.hidden]
    assert made.n_counted == sum(made.constant[net] < 0 for net in visible)
    for counted, (_, vectors, _) in zip(made.counted, blocks(made), strict=True):
        weights = made.weight[vectors.start : vectors.stop]
        assert counted or not weights.any()


@pytest.mark.parametrize("seed", range(10))
def test_with_delays_nothing_is_read_past(seed):
    """With delays, every gate that can move is evaluated from its own operands."""
    found, _, made = random_tape(seed, delays=True)
    for gate in found.gates:
        vector = made.vector[gate.out]
        if made.constant[gate.out] < 0 and vector >= made.first_register + made.n_registers:
            at = int(vector - made.first[0])
            read = {int(column[at]) for column in (made.a, made.b, made.c)} - {0}
            allowed = {int(made.vector[lit >> 1]) for lit in (gate.x, gate.y, gate.z)}
            assert read <= allowed
