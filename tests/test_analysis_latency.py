"""How long operations take: laws on made-up data, and a small design that is measured."""

import random
import time
from itertools import count

import pytest
from analysis_graphs import Maker

from openforge.analysis import latency
from openforge.analysis.cells import Cell
from openforge.analysis.latency import Operation
from openforge.analysis.two_safety import Question, ResetSequence


def operations(rule, inputs=("a", "b"), bits=8, n=300):
    """Operations with random inputs whose cycles follow `rule`."""
    draw = random.Random(0)
    made = []
    for _ in range(n):
        given = {name: draw.choice((0, draw.getrandbits(bits))) for name in inputs}
        made.append(Operation(given, rule(**given)))
    return made


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (lambda a, b: 17, "17"),
        (lambda a, b: 3 + a, "3 + a"),
        (lambda a, b: 2 * b, "2 b"),
        (lambda a, b: 300 - a, "300 - a"),
        (lambda a, b: 5 + a.bit_count(), "5 + popcount(a)"),
        (lambda a, b: 2 + 2 * b.bit_length(), "2 + 2 bit_length(b)"),
        (lambda a, b: 4 + a.bit_length() + 3 * b.bit_count(), "4 + bit_length(a) + 3 popcount(b)"),
        (lambda a, b: 1 if b == 0 else 9, "9, or 1 when b = 0"),
        (lambda a, b: 2 if a < b else 5 + a.bit_count(), "5 + popcount(a), or 2 when a < b"),
        (lambda a, b: 2 if a == b else 8, "8, or 2 when a = b"),
    ],
)
def test_a_law_is_found(rule, text):
    """Each kind of law is told as it was made."""
    assert latency.law(operations(rule)) == text


def test_what_follows_no_rule_has_no_law():
    """Random cycles, and no operations at all."""
    draw = random.Random(1)
    assert latency.law(operations(lambda a, b: draw.randrange(100))) == ""
    assert latency.law([]) == ""


def counter(*, stop, level=False):
    """Counts down from an input of three bits if `stop`, else from 5; `level`: done stays 1."""
    maker = Maker(0)
    maker.inputs(1, 1, 3, 3)
    reset, start, a, b = maker.nets[0], maker.nets[1], maker.nets[2:5], maker.nets[5:8]
    left, busy, done = maker.fresh(3), maker.fresh(1), maker.fresh(1)
    fresh = iter(maker.fresh(20))
    names = count()

    def cell(kind, width, **ports):
        out = tuple(next(fresh) for _ in range(width))
        params = {"Y_WIDTH": format(width, "b"), "WIDTH": format(width, "b")}
        maker.cells.append(Cell(f"x{next(names)}", kind, params, ports, {"Y": out}))
        return out

    less = cell("$sub", 3, A=left, B=("1", "0", "0"))
    chosen = cell("$mux", 3, A=less, B=tuple(a) if stop else ("1", "0", "1"), S=(start,))
    zero = cell("$logic_not", 1, A=left)
    ended = cell("$and", 1, A=zero, B=busy)
    on = cell("$mux", 1, A=cell("$and", 1, A=busy, B=cell("$not", 1, A=zero)), B=("1",), S=(start,))
    clock = {"CLK": maker.clock, "SRST": (reset,)}
    for name, data, out in (
        ("l", chosen, left),
        ("b", on, busy),
        ("d", zero if level else ended, done),
    ):
        params = {"SRST_POLARITY": "1", "SRST_VALUE": "0" * len(out)}
        maker.cells.append(Cell(name, "$sdff", params, {**clock, "D": data}, {"Q": out}))
    graph = maker.graph(done)
    return Question(
        graph,
        done,
        secret=frozenset((*a, *b)),
        reset=ResetSequence(reset, 1, 2),
        start=start,
        done=done[0],
    )


def measured(asked, **changes):
    given = {"seed": 1, "limit": 40, "deadline": time.monotonic() + 60, **changes}
    return latency.measure(asked, asked.machine(), **given)


def test_a_design_whose_time_depends_on_an_input():
    """The law, the input it depends on, and no other."""
    found = measured(counter(stop=True))
    assert found.law == "2 + i2"
    assert found.depends_on == ("i2",)
    assert found.seen == tuple(range(2, 10))
    assert found.endless == 0 and sum(found.counts.values()) == 512


def test_a_design_whose_time_is_constant():
    """One number of cycles, also for later operations."""
    found = measured(counter(stop=False))
    assert (found.law, found.depends_on, found.seen) == ("7", (), (7,))
    assert set(found.later) == {7}


def test_operations_without_an_end_are_counted():
    """What is not done within the limit is endless."""
    found = measured(counter(stop=True), limit=4)
    assert found.endless > 0 and max(found.counts) <= 4


def test_without_start_and_done_nothing_is_measured():
    """There is no latency of what has no operations."""
    asked = counter(stop=True)
    assert measured(Question(asked.graph, asked.observed)) is None


def test_done_of_the_operation_before_does_not_count():
    """Where done stays 1 until an operation has begun, its next 1 is the end."""
    found = measured(counter(stop=False, level=True))
    assert set(found.later) == {7}
