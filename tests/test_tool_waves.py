"""Waveforms, and the state machine coverage that is read from them."""

from pathlib import Path

import pytest
from conftest import needs

from openforge.design import Fsm, FsmState, Reset
from openforge.engines.simulation import fsm_coverage
from openforge.errors import ToolError
from openforge.tools import waves

FST = Path(__file__).parent / "logs" / "verilator-5.48-counter.fst"
VCD = """$timescale 1ns $end
$scope module top $end
$var wire 2 ! s [1:0] $end
$upscope $end
$enddefinitions $end
#0
bxx !
#5
b10 !
#9
b0z !
"""
FSM = Fsm(
    signal="state_q",
    states=tuple(FsmState(name=n, value=v) for v, n in enumerate("ABC")),
    arcs=(("A", "B"), ("B", "C"), ("C", "A"), ("A", "A")),
    reset_state="A",
)


def test_captured_fst(tmp_path):
    """The first name that the waveform has is read; a signal that it lacks is None."""
    needs("pywellen")
    ((q, none),) = waves.read([FST], [["nix.q", "s.q"], ["nix"]], tmp_path)
    assert [value for _, value in q] == [0, 1, 2, 3, 4, 5] and q[1][0] == 20_000
    assert none is None


def test_unknown_bits(tmp_path):
    """A value with X or Z is None, not a number."""
    needs("pywellen")
    (tmp_path / "w.vcd").write_text(VCD)
    ((s,),) = waves.read([tmp_path / "w.vcd"], [["top.s"]], tmp_path)
    assert s == ((0, None), (5, 2), (9, None))


def test_damaged_waveform(tmp_path):
    """What pywellen cannot read is an error (it ends its process), also a file that is missing."""
    needs("pywellen")
    (tmp_path / "w.fst").write_bytes(FST.read_bytes()[:200])
    for name in ("w.fst", "missing.fst"):
        with pytest.raises(ToolError):
            waves.read([tmp_path / name], [["a"]], tmp_path)


def seen(changes, *resets):
    machine = fsm_coverage.Machine(FSM)
    fsm_coverage.observe(machine, changes, resets)
    return machine


def reset(*changes, asynchronous=True):
    return changes, Reset(signal="rst_n", active_low=True, asynchronous=asynchronous)


def test_states_and_arcs():
    """Without a reset every value after the first counts; staying is no arc."""
    machine = seen(((0, 0), (10, 1), (20, 2), (30, 0)))
    assert dict(machine.arcs) == {("A", "B"): 1, ("B", "C"): 1, ("C", "A"): 1}
    assert fsm_coverage.share([machine]).percent == 100.0
    assert not fsm_coverage.findings([machine])


def test_missing_and_undeclared_arcs_are_found():
    """A declared arc never taken, an arc nobody declared, and a value that is no state."""
    machine = seen(((0, 0), (10, 1), (20, 0), (30, 3)))
    found = [(f.rule, f.message) for f in fsm_coverage.findings([machine])]
    assert [rule for rule, _ in found] == [
        "fsm-state",
        "fsm-arc",
        "fsm-arc",
        "fsm-undeclared-arc",
        "fsm-unknown-state",
    ]
    assert "state C" in found[0][1] and "B -> A" in found[3][1] and "value 3" in found[4][1]
    share = fsm_coverage.share([machine])
    assert (share.hit, share.total) == (3, 6)


def test_a_reset_covers_nothing():
    """C -> A by an asynchronous reset is not the declared arc C -> A."""
    machine = seen(((0, 0), (20, 1), (30, 2), (45, 0)), reset((0, 0), (15, 1), (45, 0), (60, 1)))
    assert machine.arcs["C", "A"] == 0 and machine.arcs["B", "C"] == 1


def test_a_synchronous_reset_covers_nothing():
    """The edge at which the reset is held does not count, the one at its assertion does."""
    line = reset((0, 0), (15, 1), (40, 0), (70, 1), asynchronous=False)
    machine = seen(((0, 0), (20, 1), (40, 2), (50, 0)), line)
    assert machine.arcs["B", "C"] == 1 and machine.arcs["C", "A"] == 0


def test_nothing_counts_before_the_first_reset():
    """What a register holds before its reset is no state that a test reached."""
    machine = seen(((0, 2), (30, 0)), reset((0, 1), (30, 0), (50, 1)))
    assert dict(machine.states) == {"A": 1} and not machine.arcs
