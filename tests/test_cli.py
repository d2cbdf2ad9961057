"""The command line as its users meet it: a real process, exit codes, and clear messages."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from conftest import needs_root

from openforge import results
from openforge.record import read_job
from openforge.run_folder import altered
from openforge.workspace import Workspace

ROOT = Path(__file__).parents[1]
CRYPTO = "verification.crypto_verification"
MINIMAL = ROOT / "templates" / "projects" / "minimal"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def project(tmp_path):
    """A copy of the minimal project, in a folder with a blank and an accent."""
    path = tmp_path / "mein Zähler"
    shutil.copytree(MINIMAL, path)
    return path


def command(*words):
    return [sys.executable, "-m", "openforge", *map(str, words)]


def openforge(*words):
    """Run the command line; the finished process."""
    return subprocess.run(
        command(*words), capture_output=True, text=True, timeout=200, check=False, cwd="/"
    )


def edit(project, name, old, new):
    path = project / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_whole_path_passes(project, workspace):
    """A good project: exit code 0, sealed folders, notebooks, report, index, logs."""
    ended = openforge("run", project, "--json")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["overall_status"] == "passed"
    assert answer["stages"]["lint"] == {"status": "passed", "warnings": 0, "errors": 0}
    assert answer["stages"]["simulation"]["tests_passed"] == 3
    assert answer["stages"]["simulation"]["coverage"]["line"] == 100.0
    assert answer["stages"]["formal"]["properties_proven"] == 3
    job = workspace.job("last")
    assert [check.status for check in job.checks] == ["passed"] * 3 + ["skipped"] * 2
    for check in job.checks:
        assert altered(check.path) == ()
        assert (check.path / "notebook.ipynb").is_file()
        assert not (check.path / "work").exists()
        assert check.result.provenance.tools
    events = [event["seq"] for event in job.events()]
    assert events == sorted(set(events))
    page = (job.path / "report.html").read_text()
    assert "passed" in page
    assert "http" not in page.replace("http-equiv", "")
    frame = results.sql("select check_id, status from checks order by 1", workspace.path)
    assert frame.values.tolist() == [
        ["constant_time", "skipped"],
        ["formal", "passed"],
        ["lint", "passed"],
        ["side_channel", "skipped"],
        ["simulation", "passed"],
    ]
    for words in (
        ["list"],
        ["show", "last"],
        ["logs", "last", "--tail", "3"],
        ["report", "last", "--format", "markdown", "--output", "-"],
        ["sql", "select * from properties"],
        ["reindex"],
    ):
        shown = openforge(*words)
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.strip()


def test_a_broken_design_fails_with_the_place(project, workspace):
    """A planted fault is found by simulation and proof: exit code 1, counterexample, waveform."""
    edit(project, "rtl/counter.sv", "enable && !full", "enable")
    ended = openforge("run", project, "--stage", "simulation", "--stage", "formal")
    assert ended.returncode == 1, ended.stderr
    assert "a_bounded" in ended.stdout
    job = workspace.job("last")
    assert {check.id: check.status for check in job.checks} == {
        "simulation": "failed",
        "formal": "failed",
    }
    assert list((job.path / "formal" / "artifacts").rglob("*.fst"))
    assert list((job.path / "simulation" / "artifacts").rglob("*.fst"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "{empty}"], "there is no openforge.yaml"),
        (["run", "{project}", "--set", "verification.formal.dept=3"], "verification.formal.depth"),
        (["run", "{project}", "--set", "nonsense"], "field=value"),
        (["run", "{project}", "--stage", "cryto"], "stages are: lint, simulation, formal, crypto"),
        (
            ["run", "{project}", "--set", f"{CRYPTO}.fips_compliance.enabled=true"],
            "fips_compliance is asked for, but there is no such check",
        ),
        (["show"], "Missing argument"),
        (["run", "{project}", "--jobs", "0"], "--jobs"),
        (["run", "{project}", "--no-such-option"], "No such option"),
        (["report", "last", "--format", "pdf"], "markdown"),
        (["nosuch"], "No such command"),
        (["show", "job_nothing"], "no job"),
        (["init", "{project}"], "not empty"),
        (["init", "{empty}/x", "--template", "nosuch"], "minimal"),
        (["sql", "select * from nosuch"], "nosuch"),
        (["config", "validate", "{empty}"], "there is no openforge.yaml"),
    ],
)
def test_mistakes_get_one_clear_message(project, tmp_path, words, message):
    """A mistake is exit code 3, no verdict, and a message that names the cure; no traceback."""
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "project": project}
    ended = openforge(*(word.format(**places) for word in words))
    assert ended.returncode == 3
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_what_cannot_run_is_an_error_and_names_the_cure(project):
    """A missing top module: every check is an error, and the nearest name is shown."""
    edit(project, "openforge.yaml", "top_module: counter", "top_module: conter")
    ended = openforge("run", project, "--stage", "lint", "--json")
    answer = json.loads(ended.stdout)
    assert ended.returncode == 3
    assert answer["overall_status"] == "error"
    assert "did you mean counter" in answer["stages"]["lint"]["reason"]


def test_nothing_to_check_is_skipped_and_not_passed(project):
    """Without testbenches simulation is skipped with the reason, and the exit code is not 0."""
    edit(project, "openforge.yaml", "    testbenches: [tb/test_*.py]\n", "")
    edit(project, "openforge.yaml", "    coverage_goals: {line: 90, toggle: 80}\n", "    seed: 1\n")
    ended = openforge("run", project, "--stage", "simulation", "--json")
    answer = json.loads(ended.stdout)
    assert ended.returncode == 2
    assert answer["stages"]["simulation"]["status"] == "skipped"
    assert "testbench" in answer["stages"]["simulation"]["reason"]


def test_the_project_folder_is_only_read(project, workspace):
    """A run works on a copy: a read-only project is fine and stays as it was."""
    before = sorted(p for p in project.rglob("*"))
    for path in (project, *project.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert openforge("run", project, "--stage", "lint").returncode == 0
    for path in (project, *project.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert sorted(p for p in project.rglob("*")) == before
    assert (workspace.job("last").path / "project" / "rtl" / "counter.sv").is_file()


def slow(project):
    """Make the project's simulation take a minute."""
    first = "    await reset(dut)\n    dut.enable.value = 1\n    for cycle"
    edit(project, "tb/test_counter.py", first, f"    import time; time.sleep(60)\n{first}")


def start(project, *words):
    return subprocess.Popen(
        command("run", project, "--stage", "simulation", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(condition, seconds=180.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        threading.Event().wait(0.05)
    return condition()


def running_test(workspace):
    def look():
        jobs = workspace.jobs()
        return bool(jobs) and any(e["type"] == "progress" for e in jobs[0].events())

    return look


def left_running(workspace):
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(workspace.path) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def test_kill_9_tells_the_truth_afterwards(project, workspace):
    """After `kill -9` nothing runs, the list says error, and the next run works."""
    slow(project)
    process = start(project)
    assert wait_until(running_test(workspace))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert wait_until(lambda: not left_running(workspace))
    assert workspace.job("last").status == "error"
    assert "interrupted" in openforge("list").stdout
    assert openforge("run", project, "--stage", "lint").returncode == 0
    assert openforge("sql", "select status from jobs").stdout.split()[1:] != []


@pytest.mark.parametrize("how", ["interrupt", "cancel"])
def test_stopping_a_run(project, workspace, how):
    """Ctrl-C and `openforge cancel` end a run: exit code 130, state cancelled, nothing left."""
    slow(project)
    process = start(project)
    assert wait_until(running_test(workspace))
    if how == "interrupt":
        os.kill(process.pid, signal.SIGINT)
    else:
        assert openforge("cancel", "last").returncode == 0
    process.communicate(timeout=60)
    assert process.returncode == 130
    job = read_job(workspace.job("last").path)
    assert job.status == "cancelled"
    assert [check.status for check in job.checks] == ["cancelled"]
    assert wait_until(lambda: not left_running(workspace), 20)


def test_two_runs_at_once(project, workspace):
    """Two runs of one project do not disturb each other."""
    first, second = start(project, "--json"), start(project, "--json")
    codes = [process.communicate(timeout=180) and process.returncode for process in (first, second)]
    assert codes == [0, 0]
    assert [job.status for job in workspace.jobs()] == ["passed", "passed"]


def test_init_makes_a_project_that_is_valid(tmp_path):
    """`init` names the project after its folder; nothing is overwritten."""
    assert openforge("init", tmp_path / "my-aes").returncode == 0
    assert openforge("config", "validate", tmp_path / "my-aes").returncode == 0
    assert "name: my-aes" in (tmp_path / "my-aes" / "openforge.yaml").read_text()
    assert openforge("init", tmp_path / "my-aes").returncode == 3


def test_doctor_and_schema():
    """Doctor finds everything here; the schema is JSON."""
    ended = openforge("doctor")
    assert ended.returncode == 0
    assert "verilator" in ended.stdout
    assert json.loads(openforge("config", "schema").stdout)["title"] == "Config"


@pytest.mark.parametrize("size", ["24k", "80k"])
def test_full_disk_is_an_error(project, tmp_path, size):
    """With no room left, at once or half-way, the run says so with exit code 3."""
    needs_root("mounting a small file system")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", small], check=True)
    try:
        ended = openforge("run", project, "--stage", "lint", "--workspace", small)
        assert ended.returncode == 3
        assert "No space left" in ended.stderr + ended.stdout
        assert "Traceback" not in ended.stderr
        assert "passed" not in openforge("list", "--workspace", small).stdout
    finally:
        subprocess.run(["umount", small], check=True)
