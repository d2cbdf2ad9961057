"""The examples: good ones pass everything, and each planted fault is found by the right check."""

from pathlib import Path

import pytest
from conftest import needs

from openforge import jobs
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
    }
    assert set(job.check("formal").table("properties").status) <= {"proven", "covered"}


def test_each_planted_fault_is_found(run):
    """The faults of the README's table, each by the check that it names."""
    job = run("ntt-butterfly-broken", {"verification.formal.timeout_seconds": 20})
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
