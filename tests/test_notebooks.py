"""Notebooks outside a job: whatever they run is recorded, and the tutorial works as written."""

import threading
from pathlib import Path

import nbformat
import pytest
from conftest import needs

import openforge
from openforge import results, runner
from openforge.errors import ConfigError
from openforge.model import State
from openforge.run_folder import altered
from openforge.settings import Settings
from openforge.workspace import Workspace

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def test_a_check_started_by_hand_is_a_job_of_its_own():
    """`openforge.start` in JupyterLab or a script leaves a sealed record, like any other run."""
    run = openforge.start("lint", EXAMPLES / "fifo")
    assert run.status == "passed"
    assert altered(run.path) == ()
    (job,) = Workspace(Settings().workspace).jobs()
    assert (job.status, [check.id for check in job.checks]) == ("passed", ["lint"])
    assert results.sql("select status from checks").status.tolist() == ["passed"]


def test_a_check_that_cannot_run_is_raised_and_recorded(tmp_path):
    """An exception in a notebook is an error in the record too, never a missing run."""
    (tmp_path / "openforge.yaml").write_text(
        "project: {name: p, top_module: m}\ndesign: {sources: [none/*.v]}\n"
    )
    with pytest.raises(ConfigError, match="none"):
        openforge.start("lint", tmp_path)
    (job,) = Workspace(Settings().workspace).jobs()
    (check,) = job.checks
    assert (check.state, check.verdict) == (State.ERROR, None)
    assert "none" in check.error


def test_the_tutorial(tmp_path):
    """Every cell of the first tutorial runs, and shows what its text promises."""
    needs("verilator", "c++")
    output = tmp_path / "first-run.ipynb"
    outcome = runner.execute(
        runner.Execution(
            ROOT / "notebooks" / "tutorials" / "first-run.ipynb",
            output,
            {"project_dir": str(EXAMPLES / "ntt-butterfly")},
            tmp_path,
        ),
        on_event=lambda event: None,
        cancel=threading.Event(),
    )
    assert outcome.error == ""
    frame = results.sql("select check_id, status from checks order by job_id")
    assert frame.values.tolist() == [
        ["lint", "passed"],
        ["simulation", "passed"],
        ["formal", "passed"],
        ["lint", "failed"],
        ["formal", "failed"],
    ]
    cells = nbformat.read(output, as_version=4).cells
    assert all(cell.outputs for cell in cells if "display." in cell.source)
