"""Two copies: what induction and ABC say of them, against a search of all pairs of states."""

import functools
import time

import pytest
from analysis_graphs import Maker, Reference
from analysis_pairs import question, truth
from conftest import needs

from openforge.analysis.aiger import circuit, decoded
from openforge.analysis.cells import Cell
from openforge.analysis.induction import induct
from openforge.analysis.product import Product
from openforge.analysis.shrink import confirm
from openforge.analysis.two_safety import Question, ResetSequence
from openforge.tools import abc

_DEPTH = 12
_KINDS = {
    "plain": {},
    "strict": {"strict": True},
    "memory": {"memory": True},
    "unknown": {"unknown": True},
    "strict memory": {"strict": True, "memory": True},
}
_EXACT = ("plain", "strict")
_MOST_UNKNOWN = 3
_COUNT = 50


@functools.cache
def questions(kind, count):
    """Random questions that are small enough to know the truth, with it and with the induction."""
    found, seed = [], 0
    while len(found) < count:
        asked = question(seed, **_KINDS[kind])
        seed += 1
        if len(Reference(asked.graph).unknown) <= _MOST_UNKNOWN:
            found.append((asked, truth(asked), induct(asked, asked.machine(), deadline=later())))
    return found


def later():
    return time.monotonic() + 60


def check_runs(asked, runs):
    """Both copies get what the question says."""
    for cycle, (one, two) in enumerate(zip(*(run.inputs for run in runs), strict=True)):
        for net in one | two:
            assert net in asked.secret or one[net] == two[net]
            assert one[net] == asked.constants.get(net, one[net])
        if cycle < asked.reset_cycles:
            assert one[asked.reset.net] == two[asked.reset.net] == asked.reset.active


def ask(asked, found, folder, *, depth=_DEPTH):
    """What ABC answers to both of its questions about the product, and the circuit."""
    folder.mkdir()
    made = circuit(Product(asked, asked.machine()), found.equal)
    file = folder / "circuit.aig"
    file.write_bytes(made.data)
    n_inputs = len(made.inputs)
    searched = abc.bounded(file, inputs=n_inputs, depth=depth, timeout_s=20)
    return searched, abc.unbounded(file, inputs=n_inputs, timeout_s=20), made


def leak_of(asked, answer, made):
    """The leak that a counterexample is when it is simulated."""
    reset = asked.reset
    triple = (reset.net, reset.active, reset.cycles) if reset else (0, 0, 0)
    return confirm(asked, asked.machine(), decoded(made.inputs, answer.frames, triple))


@pytest.mark.parametrize("kind", _KINDS)
def test_what_induction_proves_is_true(kind):
    """Nothing that is proved ever differs; what is said to stay equal does."""
    for asked, true, found in questions(kind, _COUNT):
        assert not (found.proved and true.first is not None), (asked, true)
        latches = asked.machine().latches
        assert {latches[n].net for n in found.equal.latches} <= true.equal, (asked, true)


def test_a_question_without_what_does_not_matter_has_the_same_answer():
    """Cells on which nothing wanted depends can be left out."""
    smaller = 0
    for asked, true, _ in questions("plain", _COUNT):
        reduced = asked.reduced()
        smaller += len(reduced.graph.cells) < len(asked.graph.cells)
        assert truth(reduced).first == true.first
    assert smaller


def test_what_nothing_is_known_of_is_no_proof():
    """With no time at all, induction gives up what it cannot see at once, and stays right."""
    for asked, true, _ in questions("plain", _COUNT):
        found = induct(asked, asked.machine(), deadline=0)
        assert not (found.proved and true.first is not None)
        assert {asked.machine().latches[n].net for n in found.equal.latches} <= true.equal


def test_structural_means_without_a_solver():
    """A proof is structural exactly if no question was put to the solver."""
    proved = [found for _, _, found in questions("plain", _COUNT) if found.proved]
    assert all(found.structural == (found.calls == 0) for found in proved)
    assert {found.structural for found in proved} == {True, False}


@pytest.mark.parametrize("kind", _EXACT)
def test_abc_says_what_is_true(kind, tmp_path):
    """NEVER if and only if it is; else the first cycle, and the counterexample is a leak there."""
    needs("abc")
    words = set()
    for n, (asked, true, found) in enumerate(questions(kind, _COUNT)):
        if found.proved or (n % 3 and true.first is not None):
            continue
        searched, reached, made = ask(asked, found, tmp_path / str(n))
        words |= {searched.word, reached.word}
        if true.first is None:
            assert searched.word is abc.Word.BOUNDED and searched.cycles >= _DEPTH, asked
            assert reached.word is abc.Word.NEVER, asked
            continue
        assert (searched.word, searched.cycles) == (abc.Word.REACHED, true.first), (asked, true)
        assert reached.word is abc.Word.REACHED and reached.cycles >= true.first
        for answer in (searched, reached):
            leak = leak_of(asked, answer, made)
            if not asked.held:
                assert leak is not None and leak.cycle == answer.cycles, asked
            if leak:
                check_runs(asked, leak.runs)
    assert words == {abc.Word.BOUNDED, abc.Word.NEVER, abc.Word.REACHED}


@pytest.mark.parametrize("kind", ["memory", "unknown", "strict memory"])
def test_abc_proves_nothing_that_differs(kind, tmp_path):
    """Where the product is coarser than the design, its answers are on the safe side."""
    needs("abc")
    asked_of = [q for q in questions(kind, _COUNT) if not q[2].proved and q[1].first != 0][:6]
    for n, (asked, true, found) in enumerate(asked_of):
        searched, reached, _ = ask(asked, found, tmp_path / str(n))
        if true.first is not None:
            assert (searched.word, reached.word) == (abc.Word.REACHED, abc.Word.REACHED)
            assert searched.cycles <= true.first


def register(name, kind, data, out, **ports):
    """A register of one bit with a clock; controls are active at 1."""
    params = {f"{port}_POLARITY": "1" for port in ports} | {"SRST_VALUE": "0", "ARST_VALUE": "0"}
    given = {port: (net,) for port, net in ports.items()}
    return Cell(name, kind, params, {"CLK": (2,), "D": (data,), **given}, {"Q": (out,)})


def test_a_memory_written_before_the_reset_is_over_may_differ(tmp_path):
    """Strict: a word takes an unknown register's value in the very cycle that resets it."""
    needs("abc")
    maker = Maker(0)
    maker.inputs(1, 1)
    reset, address = maker.nets
    (state,) = maker.fresh(1, "r")
    data = maker.fresh(1)
    maker.memory(("m", 1, 2, 1, (address,), data), 0, "00")
    store = maker.cells.pop()
    params = {**store.params, "WR_PORTS": "1"}
    writes = {"WR_ADDR": ("0",), "WR_DATA": (state,), "WR_EN": ("1",), "WR_CLK": (2,)}
    maker.cells += [
        Cell("m", "$mem_v2", params, {**store.inputs, **writes}, store.outputs),
        register("r", "$sdff", "0", state, SRST=reset),
    ]
    graph = maker.graph(data)
    asked = Question(graph, data, reset=ResetSequence(reset, 1, 1), strict=True)
    assert truth(asked).first == 1
    found = induct(asked, asked.machine(), deadline=later())
    assert not found.proved
    searched, reached, _ = ask(asked, found, tmp_path / "asked")
    assert abc.Word.NEVER not in (searched.word, reached.word)
    assert induct(
        Question(graph, data, reset=ResetSequence(reset, 1, 1)), asked.machine(), deadline=later()
    ).proved


def test_a_word_that_is_half_known_may_differ():
    """Strict: a memory counts as known only if every bit of it is."""
    maker = Maker(0)
    maker.inputs(1)
    data = maker.fresh(2)
    maker.memory(("m", 2, 2, 1, tuple(maker.nets), data), 0, "0x11")
    asked = Question(maker.graph(data), data, strict=True)
    assert not induct(asked, asked.machine(), deadline=later()).proved


def test_what_is_equal_after_the_reset_may_differ_in_it(tmp_path):
    """Strict: a register captures another's unknown value while that one is reset."""
    needs("abc")
    maker = Maker(0)
    maker.inputs(1)
    (reset,) = maker.nets
    (first,), (second,) = maker.fresh(1, "r"), maker.fresh(1, "s")
    maker.cells += [
        register("r", "$sdff", "0", first, SRST=reset),
        register("s", "$dffe", first, second, EN=reset),
    ]
    asked = Question(
        maker.graph([second]), (second,), reset=ResetSequence(reset, 1, 1), strict=True
    )
    assert truth(asked).first == 1
    found = induct(asked, asked.machine(), deadline=later())
    assert not found.proved and len(found.equal.latches) == 1
    searched, reached, made = ask(asked, found, tmp_path / "asked")
    assert (searched.word, searched.cycles) == (abc.Word.REACHED, 1)
    assert (reached.word, reached.cycles) == (abc.Word.REACHED, 1)
    assert leak_of(asked, searched, made)


def test_a_counterexample_has_the_constants(tmp_path):
    """A leak that needs a constant 1 is one when it is simulated."""
    needs("abc")
    maker = Maker(0)
    maker.inputs(1, 1)
    secret, mode = maker.nets
    (out,) = maker.fresh(1)
    maker.cells.append(Cell("a", "$and", {}, {"A": (secret,), "B": (mode,)}, {"Y": (out,)}))
    asked = Question(maker.graph([out]), (out,), secret=frozenset({secret}), constants={mode: 1})
    found = induct(asked, asked.machine(), deadline=later())
    searched, _, made = ask(asked, found, tmp_path / "asked")
    leak = leak_of(asked, searched, made)
    assert leak and all(run.inputs[0][mode] == 1 for run in leak.runs)


@pytest.mark.parametrize("secret", ["address", "enable", "data"])
def test_a_write_that_differs_makes_a_memory_differ(secret):
    """Where, whether and what is written: each alone is enough."""
    maker = Maker(0)
    maker.inputs(1, 1, 1, 1)
    where = dict(zip(("read", "address", "enable", "data"), maker.nets, strict=True))
    data = maker.fresh(1)
    maker.memory(("m", 1, 2, 1, (where["read"],), data), 1, "01")
    cell = maker.cells.pop()
    given = {
        **cell.inputs,
        "WR_ADDR": (where["address"],),
        "WR_EN": (where["enable"],),
        "WR_DATA": (where["data"],),
    }
    maker.cells.append(Cell("m", cell.type, cell.params, given, cell.outputs))
    asked = Question(maker.graph(data), data, secret=frozenset({where[secret]}))
    assert truth(asked).first == 1
    assert not induct(asked, asked.machine(), deadline=later()).proved
    public = Question(asked.graph, data)
    assert induct(public, public.machine(), deadline=later()).proved


def test_what_random_values_do_not_refute_the_solver_does():
    """A register takes a secret for one value of 40 public bits: it does not stay equal."""
    maker = Maker(0)
    maker.inputs(40, 1)
    key, secret = tuple(maker.nets[:40]), maker.nets[40]
    (hit,), (state,) = maker.fresh(1), maker.fresh(1)
    text = tuple("0110" * 10)
    maker.cells += [
        Cell("c", "$eq", {"Y_WIDTH": "1"}, {"A": key, "B": text}, {"Y": (hit,)}),
        register("r", "$dffe", secret, state, EN=hit),
    ]
    asked = Question(maker.graph([state]), (state,), secret=frozenset({secret}))
    found = induct(asked, asked.machine(), deadline=later())
    assert not found.proved and not found.equal.latches and found.open == (state,)
