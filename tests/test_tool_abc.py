"""What ABC says, from logs of yosys-abc 0.70: no word of it is taken for more than it is."""

from pathlib import Path

import pytest
from conftest import needs

from openforge.errors import ToolError
from openforge.tools import abc, process
from openforge.tools.abc import Answer, Word

LOGS = Path(__file__).parent / "logs" / "abc"
TOGGLE = b"aig 1 0 1 1 0\n3 0\n2\n"  # one latch, 0 then 1; the output is the latch
NEVER = b"aig 4 0 4 1 0\n2\n4\n6\n8\n2\n"  # latches that stay 0
INPUT = b"aig 2 1 1 1 0\n1\n2\n"  # the output is the input, beside a latch
VERIFIED = "Verification of invariant with 4 clauses was successful.  Time =     0.00 sec\n"


def log(name):
    """The text of a captured log."""
    return (LOGS / f"yosys-abc-0.70-{name}").read_text()


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A function that makes ABC say a text, leave files and end as it is told to."""

    def make(text, files=(), outcome=process.Outcome.EXITED, code=0):
        def run(argv, *, cwd, log, **_):
            log.write_text(text)
            for name, data in dict(files).items():
                (cwd / name).write_bytes(data)
            return process.Completed(tuple(argv), outcome, code, 0.1, 0, log, ())

        monkeypatch.setattr(abc, "program", lambda _: Path("/abc"))
        monkeypatch.setattr(abc.process, "run", run)
        return tmp_path / "circuit.aig"

    return make


def test_a_bounded_search_that_found_nothing(fake):
    """The frames that are clean, also when the time was up."""
    assert abc.bounded(fake(log("bounded.log")), inputs=7, depth=10, timeout_s=5) == Answer(
        Word.BOUNDED, 10
    )
    assert abc.bounded(fake(log("bounded-timeout.log")), inputs=7, depth=10, timeout_s=5) == Answer(
        Word.BOUNDED, 1
    )


def test_an_assertion_that_is_reached(fake):
    """The cycle, and for each cycle the inputs that are 1; the registers' values come before."""
    cex = (LOGS / "yosys-abc-0.70-reached.cex").read_bytes()
    path = fake(log("reached.log"), {"circuit.bmc.cex": cex})
    assert abc.bounded(path, inputs=4, depth=10, timeout_s=5) == Answer(
        Word.REACHED, 2, (frozenset(), frozenset({1, 2}), frozenset({2}))
    )


def test_a_proof_with_its_invariant(fake):
    """A proof counts when ABC has verified the invariant."""
    assert abc.unbounded(fake(log("proved.log")), inputs=3, timeout_s=5) == Answer(Word.NEVER)


@pytest.mark.parametrize(
    "text",
    [
        "Property proved.  Time =     0.02 sec\n",
        VERIFIED,
        f"Verification of invariant with 4 clauses has failed.\n{VERIFIED}Property proved.\n",
        f"Verification of clause 3 failed.\n{VERIFIED}Property proved.\n",
        "Property UNDECIDED.  Time =     0.01 sec\n",
        f"# {VERIFIED}# Property proved.\n",
        "",
    ],
)
def test_no_proof_without_its_verification(fake, text):
    """What is claimed and not verified, and what is verified and not claimed, is open."""
    assert abc.unbounded(fake(text), inputs=3, timeout_s=5) == Answer(Word.OPEN)


def test_merging_that_leaves_the_constant_0_is_a_proof(fake):
    """ABC then says UNDECIDED; what it wrote says more."""
    small = (LOGS / "yosys-abc-0.70-constant.aig").read_bytes()
    path = fake(log("undecided.log"), {"circuit.small.aig": small})
    assert abc.unbounded(path, inputs=3, timeout_s=5) == Answer(Word.NEVER)


@pytest.mark.parametrize(
    "small",
    [
        b"",
        b"aig 5 5 0 1 0\n",
        b"aig 5 5 0 1 0\n1\n",  # the constant 1
        b"aig 5 5 0 2 0\n0\n1\n",  # another output
        b"aig 1 0 1 1 0\n0\n2\n",  # a latch whose next state is 0
        b"aag 5 5 0 1 0\n0\n",
        b"aig x\n0\n",
        TOGGLE,
    ],
)
def test_only_the_constant_0_is_a_proof(fake, small):
    """Neither a broken file nor another circuit proves anything."""
    path = fake(log("undecided.log"), {"circuit.small.aig": small})
    assert abc.unbounded(path, inputs=3, timeout_s=5) == Answer(Word.OPEN)


def test_a_program_that_was_ended_says_nothing(fake):
    """Out of time: what the log has until then, here nothing."""
    path = fake(log("killed.log"), outcome=process.Outcome.TIMEOUT, code=-9)
    assert abc.unbounded(path, inputs=3, timeout_s=5) == Answer(Word.OPEN)
    path = fake(log("bounded-timeout.log"), outcome=process.Outcome.TIMEOUT, code=-9)
    assert abc.bounded(path, inputs=3, depth=9, timeout_s=5) == Answer(Word.BOUNDED, 1)


@pytest.mark.parametrize(
    ("outcome", "code"), [(process.Outcome.EXITED, 2), (process.Outcome.SIGNALLED, -11)]
)
def test_a_program_that_failed_is_an_error(fake, outcome, code):
    """Even when its log says that the property was proved."""
    with pytest.raises(ToolError):
        abc.unbounded(fake(log("proved.log"), outcome=outcome, code=code), inputs=3, timeout_s=5)


@pytest.mark.parametrize(
    "cex", [None, b"", b"0101# DONE", b"\xff\xfe", b"01 01 01 01 01"], ids=repr
)
def test_a_counterexample_that_cannot_be_read_is_an_error(fake, cex):
    """It is missing, too short or no text."""
    files = {} if cex is None else {"circuit.bmc.cex": cex}
    with pytest.raises(ToolError, match="counterexample"):
        abc.bounded(fake(log("reached.log"), files), inputs=7, depth=10, timeout_s=5)


@pytest.mark.parametrize(
    ("data", "inputs", "searched", "proved"),
    [
        (TOGGLE, 0, Answer(Word.REACHED, 1, (frozenset(),) * 2), Word.REACHED),
        (NEVER, 0, Answer(Word.BOUNDED, 5), Word.NEVER),
        (INPUT, 1, Answer(Word.REACHED, 0, (frozenset({0}),)), Word.REACHED),
    ],
)
def test_abc_itself(tmp_path, data, inputs, searched, proved):
    """The program that is installed, on circuits that are known."""
    needs("abc")
    path = tmp_path / "circuit.aig"
    path.write_bytes(data)
    assert abc.bounded(path, inputs=inputs, depth=5, timeout_s=5) == searched
    assert abc.unbounded(path, inputs=inputs, timeout_s=5).word is proved
