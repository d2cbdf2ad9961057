"""The examples: good ones pass everything, and each planted fault is found by the right check."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import needs
from side_channel_projects import believe
from side_channel_projects import run as run_side_channel

from openforge import config, design, jobs
from openforge.engines import constant_time
from openforge.model import Verdict
from openforge.run_folder import RunFolder
from openforge.workspace import Workspace

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path):
    """Run all checks of an example; the finished job."""
    needs("verilator", "c++", "cocotb", "pyosys", "z3", "bitwuzla")

    def go(name, overrides=None):
        return jobs.run(jobs.submit(Workspace(tmp_path), EXAMPLES / name, None, overrides))

    return go


@pytest.mark.parametrize("name", ["ntt-butterfly", "fifo", "keccak-round"])
def test_a_good_example_passes_everything(run, name):
    """Lint, simulation with its coverage goals, and every property."""
    job = run(name)
    assert {check.id: (check.status, check.error) for check in job.checks} == {
        "lint": ("passed", ""),
        "simulation": ("passed", ""),
        "formal": ("passed", ""),
        "constant_time": ("passed", ""),
        "side_channel": ("skipped", ""),
    }
    assert set(job.check("formal").table("properties").status) <= {"proven", "covered"}


def test_each_planted_fault_is_found(run):
    """The faults of the README's table, each by the check that it names."""
    job = run("ntt-butterfly-broken", {"verification.formal.timeout_seconds": 30})
    assert job.status == "failed"
    lint = {(f.rule, f.location.file, f.location.line) for f in job.check("lint").result.findings}
    assert ("WIDTHTRUNC", "rtl/mod_sub.sv", 13) in lint
    tests = job.check("simulation").table("tests")
    failed = {name.split("/")[0] for name in tests[tests.status == "failed"].name}
    assert failed == {"corner_values", "twiddle_factors", "empty_job"}
    arcs = [f.message for f in job.check("simulation").result.findings if f.rule == "fsm-arc"]
    assert len(arcs) == 1 and "IDLE -> DONE" in arcs[0]
    properties = job.check("formal").table("properties").set_index("name").status
    wrong = {name.split(".")[-1]: s for name, s in properties.items() if s in ("failed", "vacuous")}
    assert wrong["a_no_late_operand"] == "vacuous"
    for name in ("a_estimate", "a_run_wants_more", "a_accepted", "a_direction_holds"):
        assert wrong[name] == "failed"


LATENCIES = {  # cycles from start to done, as the README of each says
    "aes": "cycles: 11",
    "aes-round-unprotected": "cycles: 2",
    "butterfly": "cycles: 4",
    "comparator": "cycles: 17",
    "divider": "cycles: 33",
    "dom-and": "cycles: 1",
    "dom-sbox": "cycles: 9",
    "handshake": "cycles: 2",
    "isw-and": "cycles: 2",
    "masked-butterfly": "cycles: 4",
    "modexp": "cycles: 129",
    "sbox-unprotected": "cycles: 2",
    "table-lookup": "cycles: 33",
    "divider-broken": "cycles: 2 + bit_length(dividend), or 2 when divisor = 0",
    "modexp-broken": "cycles: 65 + 4 popcount(exponent)",
    "comparator-broken": "depends on expected, received",
    "butterfly-broken": "depends on b, zeta",
    "table-lookup-broken": "(later ones: 2, 11)",
}


@pytest.mark.parametrize("name", LATENCIES)
def test_the_timing_of_each_example_is_told(tmp_path, name):
    """Good ones are proved, broken ones leak where the source says so, and latencies are right."""
    needs("verilator", "c++", "pyosys", "abc", "python-sat")
    settings = config.load(EXAMPLES / name, {})
    folder = RunFolder.create(tmp_path / "constant_time.tmp")
    params = settings.verification.crypto_verification.constant_time
    result = constant_time.run(params, design.load(EXAMPLES / name, settings), folder)
    assert any(LATENCIES[name] in bound for bound in result.bounds), result.bounds
    if not name.endswith("-broken"):
        assert result.verdict is Verdict.PASSED, result.reason
        return
    assert result.verdict is Verdict.FAILED, result.reason
    assert [f.rule for f in result.findings] == ["timing-leak"]
    lines = []
    for row in pq.read_table(folder.path / "tables" / "flow.parquet").to_pylist():
        source = (EXAMPLES / name / row["file"]).read_text().splitlines()
        lines += source[row["line"] - 2 : row["line"] + 1]
    assert any("LEAK" in line for line in lines), lines


def test_a_whole_example_passes_every_check(run):
    """One of the pairs, through notebooks: its tests, lint and the proof."""
    job = run("handshake")
    assert {check.id: (check.status, check.error) for check in job.checks} == {
        "lint": ("passed", ""),
        "simulation": ("passed", ""),
        "formal": ("skipped", ""),
        "constant_time": ("passed", ""),
        "side_channel": ("skipped", ""),
    }


TIMED_ALIKE = ["dom-and-broken", "dom-sbox-broken", "masked-butterfly-broken"]


@pytest.mark.parametrize("name", TIMED_ALIKE)
def test_what_leaks_in_power_takes_the_same_time(tmp_path, name):
    """The broken twins of masked designs tell nothing by their timing."""
    needs("verilator", "c++", "pyosys", "abc", "python-sat")
    settings = config.load(EXAMPLES / name, {})
    folder = RunFolder.create(tmp_path / "constant_time.tmp")
    params = settings.verification.crypto_verification.constant_time
    result = constant_time.run(params, design.load(EXAMPLES / name, settings), folder)
    assert result.verdict is Verdict.PASSED, result.reason


MASKED = ["dom-and", "dom-sbox", "masked-butterfly"]
LEAKING = [
    "aes-round-unprotected",
    "dom-and-broken",
    "dom-sbox-broken",
    "isw-and",
    "masked-butterfly-broken",
    "sbox-unprotected",
]


INSIDE = {"dom-sbox-broken": [("rtl/dom_add.sv", 30), ("rtl/dom_add.sv", 31)]}
"""Where it leaks if what is marked is an instance, whose module leaks then."""


@pytest.mark.parametrize("name", MASKED)
def test_a_masked_example_shows_nothing_in_its_power(tmp_path, name):
    """With the 100,000 traces of its file: power, nets and probing sets."""
    ran = run_side_channel(tmp_path, EXAMPLES / name)
    assert (ran.verdict, ran.reason) == (Verdict.PASSED, "")
    assert ran.metric("traces") >= 100_000


@pytest.mark.parametrize("name", LEAKING)
def test_a_leak_of_power_is_found_where_the_source_says(tmp_path, monkeypatch, name):
    """With the 100,000 traces of its file; lines marked LEAK are among those that leak."""
    believe(monkeypatch)
    ran = run_side_channel(tmp_path, EXAMPLES / name)
    assert ran.verdict is Verdict.FAILED
    leaking = {(row["file"], row["line"]) for row in ran.rows("source_heat") if row["leaking"]}
    marked = [
        (path.relative_to(EXAMPLES / name).as_posix(), number)
        for path in (EXAMPLES / name / "rtl").iterdir()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "// LEAK" in line
    ]
    places = INSIDE.get(name, marked)
    assert all(place in leaking for place in places), (places, sorted(leaking))
    assert marked or name == "isw-and"


def test_isw_and_passes_without_probing_sets(tmp_path):
    """What has no glitches does not leak."""
    ran = run_side_channel(tmp_path, EXAMPLES / "isw-and", probing="off")
    assert (ran.verdict, ran.reason) == (Verdict.PASSED, "")
