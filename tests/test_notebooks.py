"""Notebooks outside a job: whatever they run is recorded, and the tutorial works as written."""

import dataclasses
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from conftest import needs

import openforge
from openforge import checks, results, runner
from openforge.errors import ConfigError, ToolError
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


def test_the_log_of_a_tool_that_failed_is_kept(tmp_path, monkeypatch):
    """The message names a log that is there after the scratch folder is gone."""

    def fail(params, design, folder):
        (folder.work / "tool.log").write_text("why")
        raise ToolError("the tool failed", folder.work / "tool.log")

    broken = dataclasses.replace(checks.find("lint"), run=fail)
    monkeypatch.setattr(checks, "CHECKS", (broken,))
    with pytest.raises(ToolError):
        openforge.start("lint", EXAMPLES / "fifo")
    (check,) = Workspace(Settings().workspace).job("last").checks
    assert check.error == "the tool failed (log: artifacts/logs/tool.log)"
    assert (check.path / "artifacts" / "logs" / "tool.log").read_text() == "why"


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


def test_lab_serves_the_notebooks_and_the_runs(tmp_path):
    """`openforge lab` starts JupyterLab in the workspace, on loopback, with notebooks in place."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--no-browser", f"--ServerApp.port={port}", "--IdentityProvider.token=secret"]
    process = subprocess.Popen(
        [sys.executable, "-m", "openforge", "lab", "--workspace", str(tmp_path), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        found = _contents(port, "notebooks/tutorials/first-run.ipynb", process)
        assert found["type"] == "notebook"
        assert _contents(port, "examples/fifo/openforge.yaml", process)["type"] == "file"
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
    assert re.search(rf"http://127\.0\.0\.1:{port}/lab/tree/notebooks", said)


def _contents(port, path, process):
    """What the running JupyterLab says of a file; asked again until it answers."""
    url = f"http://127.0.0.1:{port}/api/contents/{path}?content=0&token=secret"
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except OSError:
            threading.Event().wait(0.2)
    raise AssertionError("JupyterLab did not answer")
