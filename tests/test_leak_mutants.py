"""The mutation benchmark of the check constant_time: what it plants, and a small part of it."""

import random
import re
import sys
from pathlib import Path

import pytest
from conftest import needs

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import leak_mutants
import leak_mutators
import leak_report
import leak_source
from leak_conditions import Condition, Style, condition
from leak_mutants import Plan, ask, plant
from leak_mutators import HELD, LEAKS, PORT, Kind, Mutation, Probe
from leak_report import Answer, Mutant, Planted
from leak_truth import Truth, Witness

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = {"a": 12, "b": 12, "flag": 1, "wide": 70}
NAMES = list(WIDTHS)


def value(text, values):
    """The number that a name, a part of it, or a concatenation stands for."""
    if text.startswith("{"):
        bits = ""
        for each in text[1:-1].split(", "):
            found = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", each)
            width = 1 if found[2] else WIDTHS[found[1]]
            bits += f"{value(each, values):0{width}b}"
        return int(bits, 2)
    name, high, low = re.fullmatch(r"(\w+)(?:\[(\d+)(?::(\d+))?\])?", text).groups()
    if high is None:
        return values[name]
    low = int(high if low is None else low)
    return values[name] >> low & (1 << int(high) - low + 1) - 1


def holds(text, values):
    """Whether a condition is true, read independently of how it was made."""
    left, operator, right = re.fullmatch(r"(.+) (==|<|>=) (\S+)", text).groups()
    number = re.fullmatch(r"\d+'([hd])([0-9a-f]+)|'(0)", right)
    if number is None:
        two = values[right]
    else:
        two = 0 if number[3] else int(number[2], 16 if number[1] == "h" else 10)
    one = value(left, values)
    return {"==": one == two, "<": one < two, ">=": one >= two}[operator]


@pytest.mark.parametrize("style", Style)
def test_a_condition_holds_where_it_was_drawn(style):
    """It is true for the values it was drawn from, and not for all values."""
    for seed in range(200):
        dice = random.Random(seed)
        values = {name: dice.getrandbits(width) for name, width in WIDTHS.items()}
        drawn = condition(style, NAMES, WIDTHS, values, dice)
        assert drawn is None or holds(drawn.text, values), drawn
        if drawn is not None:
            ends = [dict.fromkeys(NAMES, 0), {n: (1 << w) - 1 for n, w in WIDTHS.items()}]
            assert not all(holds(drawn.text, other) for other in ends)
    assert drawn is not None


@pytest.mark.parametrize(("style", "low", "high"), [("rare", 8, 16), ("trigger", 24, 32)])
def test_a_rare_condition_fixes_many_bits(style, low, high):
    """Each of the bits decides: no other value of any of them will do."""
    style = Style(style)
    values = {"a": 0xABC, "b": 0x123, "flag": 1, "wide": 3 << 66}
    seen = set()
    for seed in range(100):
        drawn = condition(style, NAMES, WIDTHS, values, random.Random(seed))
        flips = [
            not holds(drawn.text, {**values, name: values[name] ^ 1 << bit})
            for name in NAMES
            for bit in range(WIDTHS[name])
        ]
        assert sum(flips) == drawn.bits and low <= drawn.bits <= high
        seen.add(drawn.bits)
    assert {low, high} <= seen
    assert condition(style, ["flag"], WIDTHS, values, random.Random(1)) is None


def test_a_core_is_read():
    """Secret registers, those that decide, states, and blocks are told apart."""
    core = leak_source.read(ROOT / "examples" / "modexp")
    assert core.secret == ("power_q", "sum_q", "exponent_q")
    assert core.control == {"state_q", "bit_q", "digit_q", "done"} and core.phases == ("state_q",)
    assert core.states == {"state_q": ("IDLE", "SQUARE", "MULTIPLY")} and core.done == "done"
    assert [block.accepts for block in core.blocks] == [True, False, True, False, False]
    assert core.widths["exponent_q"] == 16 and core.resets["state_q"] == "IDLE"
    for each in core.assignments:
        assert core.text[each.start : each.end] == each.value


def test_wires_are_read():
    """A ready that the process decides on can be held back; one that is only shown cannot."""
    assert set(leak_source.read(ROOT / "examples" / "handshake").wires) == {"in_ready", "out_free"}
    assert not leak_source.read(ROOT / "examples" / "butterfly").wires


def probed(core):
    """A probe as of one run in which all is busy with ones."""
    names = [*core.widths]
    values = {
        name: [0, (1 << core.widths[name]) - 1, 5 % (1 << core.widths[name])] for name in names
    }
    active = tuple(((0, 1), (0, 2)) for _ in core.blocks)
    return Probe(({},), (values,), active)


@pytest.mark.parametrize("kind", LEAKS)
def test_the_same_seed_gives_the_same_mutant(kind):
    """The line that is named has what was planted, and another seed gives another mutant."""
    core = leak_source.read(ROOT / "examples" / "divider")
    probe, texts = probed(core), set()
    for seed in range(20):
        one, two = (
            leak_mutators.draw(core, probe, kind, Style.RARE, random.Random(seed)) for _ in range(2)
        )
        assert one == two and one.kind is kind
        text = one.text(core)
        texts.add(text)
        line = text.splitlines()[one.line(core) - 1]
        assert one.condition.text in line and line not in core.text.splitlines()
        assert (PORT in text) == (kind is Kind.ADDRESS) == bool(one.observes)
        assert (HELD in text) == (kind in (Kind.STALL, Kind.WAIT))
    assert len(texts) == 20


def test_a_mutant_is_a_whole_project(tmp_path):
    """A new output is among the observables; the core itself stays as it is."""
    core = leak_source.read(ROOT / "examples" / "aes")
    dice = random.Random(3)
    mutation = leak_mutators.draw(core, probed(core), Kind.ADDRESS, Style.RARE, dice)
    leak_mutators.write(core, mutation, tmp_path / "mutant")
    mutant = leak_source.read(tmp_path / "mutant")
    assert mutant.interface.observables == (*core.interface.observables, PORT)
    assert mutant.text == mutation.text(core) and PORT in mutant.widths


def test_the_plan():
    """At least 100 leaks, at least 15 a core, each of all kinds; 20 neutral ones."""
    plan = Plan(1, 15, 4)
    cores = {n: leak_source.read(ROOT / "examples" / n) for n in leak_mutants.CORES}
    kinds = {name: plan.kinds(core) for name, core in cores.items()}
    for name, of_core in kinds.items():
        wanted = set(Kind) if name != "handshake" else {*LEAKS[1:], Kind.DATA, Kind.PUBLIC}
        assert set(of_core) == wanted and sum(kind in LEAKS for kind in of_core) == 15
    assert sum(map(len, kinds.values())) == 7 * 19
    styles = [
        plan.style(c, n) for c in cores.values() for n, k in enumerate(kinds[c.name]) if k in LEAKS
    ]
    assert styles.count(Style.RARE) >= 15 and styles.count(Style.TRIGGER) >= 15
    stalls = [plan.style(cores["aes"], n) for n, k in enumerate(kinds["aes"]) if k is Kind.STALL]
    assert len(set(stalls)) == 3


def mutant(kind, leaks):
    """A mutant that nothing was planted in."""
    mutation = Mutation(kind, ((0, 0, ""),), "says a || b", Condition("c", Style.RARE, 9), 0)
    witness = Witness(({"k": 1}, {"k": 2}), "busy", 3) if leaks else None
    return Mutant("m", "core", mutation, "a.sv:1", Path(), witness)


@pytest.mark.parametrize(
    ("leaks", "verdict", "fine", "shown"),
    [
        (True, "failed", True, "| 1/1 |"),
        (True, "passed", False, "| 0/1 1! |"),
        (False, "passed", True, "| 1/1 |"),
        (False, "failed", False, "| 0/1 1! |"),
        (True, "inconclusive", False, "| 0/1 1? |"),
        (True, "error", False, "| 0/1 1? |"),
    ],
)
def test_what_is_wrong_is_counted(leaks, verdict, fine, shown):
    """A leak that passes and an alarm without a leak are wrong, and so is too much left open."""
    kind = Kind.STALL if leaks else Kind.DATA
    mutants, answers = [mutant(kind, leaks)], [Answer(verdict, "a step", 1.0, "")]
    assert leak_report.good(mutants, answers) is fine
    text = leak_report.report(Planted(mutants, ["e: a | b"]), answers, 1, "1 s")
    row = next(row for row in text.splitlines() if row.startswith(f"| {kind} |"))
    assert shown in row and "a \\|\\| b" in text and "* e: a \\| b" in text


def test_a_few_may_stay_open():
    """One of 20 is 5 %."""
    mutants = [mutant(Kind.STALL, True)] * 20
    answers = [Answer("failed", "", 1.0, "")] * 19 + [Answer("inconclusive", "", 1.0, "")]
    assert leak_report.good(mutants, answers)
    assert not leak_report.good(mutants[1:], answers[1:])


@pytest.mark.parametrize(("name", "leaks", "neutral"), [("butterfly", 3, 0), ("comparator", 0, 2)])
def test_a_part_of_the_benchmark(name, leaks, neutral, tmp_path):
    """Leaks are found; neutral changes of all four kinds are proved."""
    needs("slang", "verilator", "c++", "pyosys", "abc", "python-sat")
    core = leak_source.read(ROOT / "examples" / name)
    plan, planted = Plan(1, leaks, neutral), Planted()
    (tmp_path / "truth").mkdir()
    truth = Truth(core, tmp_path / "truth", plan.seed)
    answers = []
    for each in plant(core, truth, tmp_path, plan, planted):
        answers.append(ask(each.folder, 20.0, bare=True))
        wanted = "failed" if each.witness else "passed"
        assert answers[-1].verdict == wanted, (leak_report.line(each), answers[-1])
    assert len(answers) == leaks + neutral and leak_report.good(planted.mutants, answers)
