"""Random pairs of runs: what the copies are given, and that what is told can be done again."""

import time

import pytest
from analysis_graphs import Maker, Reference
from analysis_pairs import question, truth

from openforge.analysis import constraints, cosimulation
from openforge.analysis.aig import Aig
from openforge.analysis.cells import Cell
from openforge.analysis.lanes import Lanes
from openforge.analysis.machine import Origin, machine
from openforge.analysis.shrink import confirm
from openforge.analysis.stimuli import Stimuli
from openforge.analysis.two_safety import Question, ResetSequence

_PAIRS = 16


def later():
    return time.monotonic() + 60


def search(asked, seed=1, cycles=(20, 20), solutions=()):
    return cosimulation.search(
        asked,
        asked.machine(),
        seed=seed,
        cycles=cycles,
        deadline=later(),
        solutions=solutions,
    )


def copy_of(run):
    """The runs of a stimulus, in all of its lanes."""
    return [run(lane) for lane in range(2 * _PAIRS)]


def played(asked, seed, cycles=8, solutions=()):
    """Stimuli that were played, and the lanes they were played in."""
    made = asked.machine()
    lanes = Lanes(made, 2 * _PAIRS)
    stimuli = Stimuli(asked, made, _PAIRS, seed, solutions)
    stimuli.prepare(lanes)
    values = []
    for cycle in range(cycles):
        if cycle == asked.reset_cycles:
            stimuli.plant(lanes)
        lanes.settle(stimuli.inputs(cycle))
        values.append([lanes.value(made.literal(net)) for net in asked.wanted])
        lanes.clock()
    return stimuli, lanes, values


@pytest.mark.parametrize("seed", range(30))
def test_the_copies_get_what_the_question_says(seed):
    """Public inputs are equal, constants and the reset are kept, secrets differ somewhere."""
    asked = question(seed)
    stimuli, _, _ = played(asked, seed)
    runs = copy_of(stimuli.run)
    secret_differs = False
    for one, two in zip(runs[:_PAIRS], runs[_PAIRS:], strict=True):
        assert one.registers == two.registers
        for cycle, (a, b) in enumerate(zip(one.inputs, two.inputs, strict=True)):
            assert a.keys() == b.keys()
            for net, value in a.items():
                if net in asked.secret:
                    secret_differs |= value != b[net]
                    continue
                assert value == b[net]
                assert value == asked.constants.get(net, value)
                if asked.reset and net == asked.reset.net:
                    assert (value == asked.reset.active) == (cycle < asked.reset_cycles)
    driven = {net for net in asked.secret if net in runs[0].inputs[0]}
    assert secret_differs or not driven


def test_one_seed_makes_one_stimulus():
    """The same seed gives the same runs, another one others."""
    asked = question(3, memory=True)
    one, two, other = (copy_of(played(asked, seed)[0].run) for seed in (5, 5, 6))
    assert one == two != other


@pytest.mark.parametrize("kind", [{}, {"memory": True}])
def test_a_run_does_again_what_its_lane_did(kind):
    """All values of a lane come back when its run is simulated by the slow interpreter."""
    for seed in range(25):
        asked = question(seed, **kind)
        stimuli, _, values = played(asked, seed)
        reference = Reference(asked.graph)
        free = dict.fromkeys(reference.unknown, 0)
        for lane in (0, 5, _PAIRS + 5):
            run = stimuli.run(lane)
            registers, words = reference.initial()
            state = (
                tuple(
                    run.registers.get(net, 0) if bit is None else bit
                    for net, bit in zip(reference.latches, registers, strict=True)
                ),
                words,
            )
            for cycle, given in enumerate(run.inputs):
                if cycle == asked.reset_cycles:
                    state = planted(reference, run, state)
                inputs = dict.fromkeys(asked.graph.input_bits, 0) | given
                seen, state = reference.cycle(state, inputs, free)
                assert [seen[net] for net in asked.wanted] == [
                    value >> lane & 1 for value in values[cycle]
                ], (seed, lane, cycle)


def planted(reference, run, state):
    """A state with the run's secrets in it; there is one memory, which begins at address 0."""
    registers = [
        run.held.get(net, bit) for net, bit in zip(reference.latches, state[0], strict=True)
    ]
    words = list(state[1])
    for at, word in run.words.get("m", {}).items():
        words[at] = word
    return tuple(registers), tuple(words)


@pytest.mark.parametrize("kind", [{}, {"memory": True}, {"strict": True}])
def test_a_leak_is_one_and_is_shown_again(kind):
    """Found leaks are true, not before the first possible cycle, and their runs show them."""
    found = 0
    for seed in range(60):
        asked = question(seed, **kind)
        leak, seen = search(asked)
        true = truth(asked)
        assert seen.runs and (true.alive or not seen.alive)
        if leak is None:
            continue
        found += 1
        assert true.first is not None and leak.cycle >= true.first
        again = confirm(asked, asked.machine(), leak.runs)
        assert (again.net, again.cycle) == (leak.net, leak.cycle)
    assert found >= 10


def test_most_shallow_leaks_are_found():
    """In tiny designs without assumptions random runs find almost everything."""
    missed = total = 0
    for seed in range(80):
        asked = question(seed)
        if asked.assumed or asked.shared or truth(asked).first is None:
            continue
        total += 1
        missed += search(asked)[0] is None
    assert total > 15 and missed <= total // 10


def test_memory_secrets_are_put_at_their_addresses_only():
    """Words that are not secret stay what they were; secret words differ."""
    maker = Maker(0)
    maker.inputs(2)
    data = maker.fresh(70)
    maker.memory(("m", 70, 4, 2, tuple(maker.nets), data), 0, "01" * 140)
    asked = Question(maker.graph(data), data, memories={"m": frozenset({1, 2})})
    stimuli, lanes, _ = played(asked, 1, cycles=2)
    public = int("01" * 35, 2)
    differ = 0
    for lane in range(2 * _PAIRS):
        words = [int.from_bytes(row.tobytes(), "little") for row in lanes.contents["m"][lane]]
        assert words[0] == words[3] == public
        assert all(word < 1 << 70 for word in words)
        run = stimuli.run(lane)
        assert run.words == {"m": {1: words[1], 2: words[2]}}
        other = stimuli.run((lane + _PAIRS) % (2 * _PAIRS))
        differ += run.words != other.words
    assert differ == 2 * _PAIRS
    leak, _ = search(asked)
    assert leak and confirm(asked, asked.machine(), leak.runs)


def guarded(condition, *, reset=None, secret=1):
    """Inputs x, y, z; what `condition` makes of them is assumed; secret & x is observed."""
    maker = Maker(0)
    maker.inputs(1, 1, 1)
    nets = maker.nets
    assumed, out = maker.fresh(1)[0], maker.fresh(1)[0]
    kind, a, b = condition
    maker.cells += [
        Cell("a", kind, {"Y_WIDTH": "1"}, {"A": (nets[a],), "B": (nets[b],)}, {"Y": (assumed,)}),
        Cell("o", "$and", {"Y_WIDTH": "1"}, {"A": (nets[secret],), "B": (nets[0],)}, {"Y": (out,)}),
    ]
    return Question(
        maker.graph([out]),
        (out,),
        secret=frozenset({nets[secret]}),
        assumed=(assumed,),
        reset=ResetSequence(nets[reset], 1, 2) if reset is not None else None,
    )


def test_assumptions_hold_in_runs_that_count():
    """Runs with solutions of an assumption fulfil it; a pair is alive only while both do."""
    asked = guarded(("$xor", 0, 2))
    made = asked.machine()
    found = constraints.solutions(asked, made, 1)
    stimuli, lanes, _ = played(asked, 1, solutions=found)
    for lane in range(2 * _PAIRS):
        for given in stimuli.run(lane).inputs:
            assert (
                given[asked.graph.signals["i0"].bits[0]] != given[asked.graph.signals["i2"].bits[0]]
            )
    literals = {v.net: v.literal for v in made.variables if v.origin is Origin.INPUT}
    x, z = (literals[asked.graph.signals[name].bits[0]] for name in ("i0", "i2"))
    lanes.settle({x: 0b11 | 0b01 << _PAIRS, z: 0b10 | 0b10 << _PAIRS})
    every = (1 << _PAIRS) - 1
    # pair 0: it holds in both; pair 1: 1, 1 against 0, 1; the others: 0, 0
    assert cosimulation.equal_so_far(asked, lanes, every, _PAIRS) == 0b01
    leak, seen = search(asked, solutions=found)
    assert leak and confirm(asked, made, leak.runs)
    assert seen.runs


@pytest.mark.parametrize("kind", ["$or", "$gt"])
def test_the_reset_is_kept_although_an_assumption_speaks_of_it(kind):
    """Solutions of an assumption do not change the reset, also where none allows for it."""
    asked = guarded((kind, 0, 2), reset=2)
    found = constraints.solutions(asked, asked.machine(), 1)
    stimuli, _, _ = played(asked, 1, solutions=found)
    for lane in range(2 * _PAIRS):
        given = [cycle[asked.reset.net] for cycle in stimuli.run(lane).inputs]
        assert given == [1, 1, 0, 0, 0, 0, 0, 0]
    leak, seen = search(asked, solutions=found)
    assert (leak is not None) == (kind == "$or")
    assert not seen.alive  # all runs ended by the leak, or by the assumption


def test_a_secret_of_which_something_is_assumed_still_differs():
    """An assumption on a secret does not make it equal in both copies."""
    asked = guarded(("$or", 1, 2))
    found = constraints.solutions(asked, asked.machine(), 1)
    leak, _ = search(asked, solutions=found)
    assert leak and confirm(asked, asked.machine(), leak.runs)


def test_a_shared_net_ends_a_pair_where_it_differs():
    """What comes after a declassified net differs counts no more."""
    maker = Maker(0)
    maker.inputs(1)
    secret = maker.nets[0]
    (state,) = maker.fresh(1)
    maker.cells.append(Cell("r", "$dff", {}, {"CLK": maker.clock, "D": (secret,)}, {"Q": (state,)}))
    maker.initial[state] = "0"
    graph = maker.graph([state])
    both = Question(graph, (state,), secret=frozenset({secret}), shared=(secret,))
    assert search(both)[0] is None
    assert search(Question(graph, (state,), secret=frozenset({secret})))[0].cycle == 1


def test_an_empty_graph_of_gates_has_constants_only():
    """The constants of a graph are literals 0 and 1."""
    aig = Aig()
    assert (aig.conj(0, 1), aig.disj(0, 1), aig.differ(1, 1)) == (0, 1, 0)
    assert machine(Maker(0).graph([]), []).latches == []
