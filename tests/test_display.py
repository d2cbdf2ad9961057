"""What notebooks show: the parts of a check's record, escaped, also when there is nothing."""

import re

import pytest
import sample_job

from openforge import display
from openforge.run_folder import RunFolder

PARTS = ("summary", "findings", "tests", "coverage", "properties", "provenance")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("check", ["lint", "simulation", "formal"])
def test_nothing_of_a_design_is_taken_for_markup(tmp_path, part, check):
    """Every part of every check escapes what comes from the design."""
    shown = getattr(display, part)(sample_job.make_full(tmp_path).check(check)).data
    assert "<script" not in shown and "<b>a</b>" not in shown


@pytest.mark.parametrize("part", PARTS)
def test_a_check_without_a_result_can_be_shown(tmp_path, part):
    """A check that died leaves no trace of a verdict, and no exception."""
    run = sample_job.make(tmp_path, checks=("side_channel",)).check("side_channel")
    assert "passed" not in getattr(display, part)(run).data.split("</style>")[1]


def test_a_summary_says_verdict_and_reason(tmp_path):
    """Word, symbol and reason stand at the top of a notebook."""
    job = sample_job.make_full(tmp_path)
    shown = display.summary(job.check("lint")).data
    assert "✗" in shown and "failed" in shown and "1 error" in shown
    error = display.summary(job.check("formal")).data.split("</style>")[1]
    assert "the solver ended with signal 9" in error and "passed" not in error


def test_a_check_that_is_still_open_can_be_shown(tmp_path):
    """Inside its own notebook a check is not sealed yet: there is no manifest to read."""
    job = sample_job.make(tmp_path)
    folder = RunFolder.create(job.path / "formal.tmp")
    sealed = job.check("lint")
    (folder.path / "result.json").write_text((sealed.path / "result.json").read_text())
    run = type(sealed)("lint", sealed.stage, folder.path, sealed.state, None)
    assert "1 error" in display.summary(run).data
    assert "assign y" in display.findings(run).data


def test_both_themes_are_served(tmp_path):
    """Plots and colours follow JupyterLab's theme as well as the browser's."""
    shown = display.coverage(sample_job.make_full(tmp_path).check("simulation")).data
    for words in ('class="light"', 'class="dark"', "data-jp-theme-light", "prefers-color-scheme"):
        assert words in shown


def test_what_jupyterlab_does_to_tables_is_undone(tmp_path):
    """Cells say themselves that they start at the left, and the style outranks JupyterLab's."""
    page = display.tests(sample_job.make_full(tmp_path).check("simulation")).data
    cells = re.findall(r"<t[dh]\b[^>]*>", page)
    assert cells
    assert all("text-align: left" in cell or "number" in cell for cell in cells)
    assert ".openforge:not(#_) table" in page
