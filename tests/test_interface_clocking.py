"""One clock, and no state but registers and memories."""

import pytest
from interface_designs import loaded

from openforge.analysis.clocking import Clock, clocking
from openforge.analysis.source import location, named
from openforge.errors import DesignError

GOOD = {
    "good_rising": Clock("clk", True),
    "good_falling": Clock("clk", False),
    "good_combinational": None,
    "good_forwarded": Clock("clk", True),
    "good_memory": Clock("clk", True),
}
BAD = {
    "bad_two_clocks": r"one clock was expected, found 2: clk_a \(clocking.sv:\d+\), clk_b \(",
    "bad_both_edges": r"one edge of the clock 'clk'.*rising \(clocking.sv:\d+\), falling \(clo",
    "bad_memory_edge": "one edge of the clock 'clk'",
    "bad_gated": r"gated or derived: gated \(clocking.sv:\d+\); use an enable",
    "bad_divided": r"gated or derived: half \(clocking.sv:\d+\)",
    "bad_vector": r"a bit of a vector: clks\[1\] \(clocking.sv:\d+\)",
    "bad_data": r"the clock 'clk' is also used as data: clocking.sv:\d+$",
    "bad_latch": r"latches cannot be analysed: clocking.sv:\d+; ",
    "bad_tristate": r"tri-state drivers cannot be analysed: clocking.sv:\d+; ",
}


@pytest.mark.parametrize("top", GOOD)
def test_the_clock_is_found(top):
    """One input, one edge; none where nothing is clocked."""
    assert clocking(loaded(top, "clocking.sv")[1]) == GOOD[top]


@pytest.mark.parametrize("top", BAD)
def test_other_clocking_is_refused_with_its_place(top):
    """Several clocks or edges, derived clocks, clocks as data, latches and tri-states."""
    with pytest.raises(DesignError, match=BAD[top]):
        clocking(loaded(top, "clocking.sv")[1])


def test_places_and_names_for_messages():
    """The first place of a netlist's attribute; names on one line of bounded length."""
    assert str(location("rtl/a b.sv:3.5-3.9|rtl/b.sv:1.1")) == "rtl/a b.sv:3:5"
    assert location("rtl/a.sv:7").column is None
    assert location("") is None
    assert named("a\n\x1b[31mb\u202e") == "a b\\u202e"
    assert len(named("x" * 1000)) == 80
