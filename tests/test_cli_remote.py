"""The command line with a service: a real one for what works, a fake one for what goes wrong."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import service
from fake_service import (
    JOB_ID,
    PROJECT_ID,
    Answer,
    Fake,
    error,
    job,
    line,
    ready,
    report,
    results,
    wait_for,
)

from openforge import cli, cli_follow, client_answer
from openforge.client import Client

pytestmark = pytest.mark.xdist_group("remote")  # what they share takes long to make

MINIMAL = Path(__file__).parents[1] / "templates" / "projects" / "minimal"
FILES = ("formal/counter_properties.sv", "openforge.yaml", "rtl/counter.sv", "tb/test_counter.py")
LINT = ("--stage", "lint")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A service that wants a token, one for all tests here: a second one costs seconds."""
    place = tmp_path_factory.mktemp("service")
    with service.start(place, OPENFORGE_AUTH_ENABLED="true") as running:
        yield running


@pytest.fixture(scope="module")
def ada(server):
    """The token of a user of `server`, as `openforge token create` makes it."""
    command = [sys.executable, "-m", "openforge", "token", "create", "--user", "ada"]
    place = ["--workspace", str(server.workspace)]
    return subprocess.run([*command, *place], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def token(ada, monkeypatch):
    """Ada's token, in the environment."""
    monkeypatch.setenv("OPENFORGE_TOKEN", ada.strip())
    return ada.strip()


@pytest.fixture
def fake(monkeypatch):
    """A service that takes the minimal project and says that it passed."""
    monkeypatch.setattr(client_answer, "WAITS_S", (0.0,) * 5)
    monkeypatch.setattr(cli_follow, "_POLL_S", 0.02)
    monkeypatch.setattr(cli_follow, "_RECONNECT_S", 0.02)
    with Fake() as made:
        ready(made, FILES)
        yield made


@pytest.fixture(autouse=True)
def _no_configuration(tmp_path, monkeypatch):
    """No test touches what the user has configured."""
    monkeypatch.setenv("OPENFORGE_CONFIG", str(tmp_path / "config.json"))
    monkeypatch.setenv("COLUMNS", "400")
    for name in ("OPENFORGE_SERVER", "OPENFORGE_TOKEN", "OPENFORGE_INSECURE"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def project(tmp_path):
    path = tmp_path / "project"
    shutil.copytree(MINIMAL, path)
    return path


@pytest.fixture
def openforge(capsys, monkeypatch):
    """The command line in this process: code, stdout, stderr."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["openforge", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return SimpleNamespace(code=ended.value.code, out=out, err=err)

    return call


def rename(project, name):
    """Give the project another name, so that tests do not share one."""
    file = project / "openforge.yaml"
    file.write_text(file.read_text().replace("name: minimal", f"name: {name}"))


def files_of(server, token, name):
    """The files that the service has of the project called `name`."""
    with Client(server.url, token) as client:
        (found,) = client.projects(2, name)
        return set(client.files(found.id))


def test_the_whole_path(  # noqa: PLR0917  (pytest gives them by name)
    openforge, project, server, token, tmp_path, monkeypatch
):
    """Run, list, show, logs, report and cancel with a service look as they do without one."""
    monkeypatch.setenv("OPENFORGE_SERVER", server.url)
    ended = openforge("run", project, *LINT)
    assert ended.code == 0, ended.err
    assert "lint: started\n  lint: Linting with Verilator\n" in ended.err
    assert ended.err.splitlines()[-1].startswith("  lint: passed (")
    assert ended.err.endswith(" s)\n")
    assert "lint   ✓ passed" in ended.out
    assert "0 warnings, 0 errors" in ended.out
    job_id = ended.err.split()[1]
    assert files_of(server, token, "minimal") == set(FILES)
    assert not (tmp_path / "workspace").exists()

    assert f"{job_id}  minimal  ✓ passed" in openforge("list").out
    assert openforge("show", "last").out == ended.out
    assert "Linting with slang" in openforge("logs", job_id[:-2], "--check", "lint").out
    assert openforge("logs", job_id, "--tail", "1").out.count("\n") == 1
    assert "has no log of 'formal'" in openforge("logs", job_id, "--check", "formal").err
    monkeypatch.chdir(tmp_path)
    assert openforge("report", job_id).out == f"{job_id}.html\n"
    assert "minimal" in (tmp_path / f"{job_id}.html").read_text()
    wanted = ("--format", "json", "--output", tmp_path / "x.json")
    assert openforge("report", job_id, *wanted).code == 0
    assert json.loads((tmp_path / "x.json").read_text())["job_id"] == job_id
    assert f"{job_id} has ended already: passed" in openforge("cancel", job_id).out
    for words in (["show", "job_nothing"], ["show", "../x"], ["logs", ""]):
        wrong = openforge(*words)
        assert (wrong.code, wrong.out) == (3, "")
        assert "no job at http://127.0.0.1" in wrong.err


def test_the_service_verifies_what_is_here(openforge, project, server, token):
    """What fails here fails there; files that are gone here are gone there, before the job."""
    rename(project, "mirror")
    (project / "rtl" / "extra.sv").write_text("module extra; assign = 1'b1; endmodule\n")
    (project / "tb" / "x.txt").mkdir()
    (project / "tb" / "x.txt" / "data").write_text("1")
    ended = openforge("run", project, *LINT, "--server", server.url)
    assert ended.code in (1, 3), ended.err
    assert "rtl/extra.sv" in ended.out
    (project / "rtl" / "extra.sv").unlink()
    shutil.rmtree(project / "tb" / "x.txt")
    (project / "tb" / "x.txt").write_text("a file where a folder was")
    (project / "rtl" / "linked.svh").symlink_to("../tb/x.txt")
    (project / ".hidden").write_text("not taken")
    ended = openforge("run", project, *LINT, "--server", server.url, "--json")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    answer = json.loads(ended.out)
    assert answer["stages"] == {"lint": {"status": "passed", "warnings": 0, "errors": 0}}
    assert files_of(server, token, "mirror") == {*FILES, "tb/x.txt", "rtl/linked.svh"}


def test_a_verdict_that_is_no_pass(openforge, project, server, token):
    """A warning that counts is exit code 1 with its place; overrides arrive as they were given."""
    rename(project, "warned")
    source = project / "rtl" / "counter.sv"
    source.write_text(
        source.read_text().replace("endmodule", "  wire [1:0] narrow = 4'd9;\nendmodule")
    )
    strict = ("--set", "verification.lint.fail_on=warning")
    ended = openforge("run", project, *LINT, *strict, "--server", server.url)
    assert ended.code == 1, ended.err
    assert "lint   ✗ failed" in ended.out
    assert "rtl/counter.sv:" in ended.out
    assert "narrow" in ended.out
    none = openforge("run", project, "--server", server.url, "--set", "project.top_module=nosuch")
    assert none.code == 3
    assert "there is no module 'nosuch'" in none.out


def test_tokens(openforge, project, server, tmp_path, monkeypatch):
    """A service that wants a token says how to get one; one that was set once is enough."""
    assert openforge("config", "set", "server", server.url).code == 0
    for wrong in ("", "of_wrong"):
        monkeypatch.setenv("OPENFORGE_TOKEN", wrong)
        ended = openforge("run", project, *LINT)
        assert ended.code == 3
        assert "wants a valid token" in ended.err
        assert "openforge config set token -" in ended.err
    monkeypatch.delenv("OPENFORGE_TOKEN")
    made = openforge("token", "create", "--user", "grace", "--workspace", server.workspace)
    monkeypatch.setattr(sys, "stdin", io.StringIO(made.out))
    assert openforge("config", "set", "token", "-").code == 0
    rename(project, "guarded")
    ended = openforge("run", project, *LINT)
    assert ended.code == 0, ended.err
    assert openforge("list").out.count("guarded") == 1
    assert openforge("list", "--workspace", tmp_path / "none").out.startswith("No jobs yet")
    # An administrator sees everybody's projects, and still changes nobody's.
    monkeypatch.setenv("OPENFORGE_TOKEN", server.token)
    with Client(server.url, server.token) as administrator:
        administrator.create_project({"name": "guarded"})
    assert "several projects called guarded" in openforge("run", project, *LINT).err


def test_the_commands_about_the_configuration(openforge):
    """Set, get and unset; the token is shown by its beginning."""
    token = "of_abcdefghijklmnopqrstuvwxyz"
    assert openforge("config", "set", "token", token).code == 0
    assert openforge("config", "set", "server", "https://a.example").code == 0
    shown = openforge("config", "get")
    assert shown.out == "server = https://a.example\ntoken = of_abcdefg...\n"
    assert openforge("config", "get", "token").out == "of_abcdefg...\n"
    assert openforge("config", "unset", "token").code == 0
    gone = openforge("config", "get", "token")
    assert (gone.code, gone.out) == (3, "")
    for verb in (["set", "sever", "x"], ["get", "sever"], ["unset", "sever"]):
        wrong = openforge("config", *verb)
        assert wrong.code == 3
        assert "did you mean server?" in wrong.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{project}", "--stage", "lnt"], "stages are: lint"),
        (["{project}", "--set", "verification.lint.fail=1"], "verification.lint.fail_on"),
        (["{project}/rtl"], "there is no openforge.yaml"),
        (["{project}", "--jobs", "2"], "--jobs is for runs on this machine"),
        (["{project}", "--workspace", "{project}"], "exclude each other"),
        (["{project}", "--server", "localhost:1"], "address of a service"),
        (["{project}", "--server", "http://127.0.0.1:1"], "cannot be reached"),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(openforge, fake, project, words, message):
    """What is wrong here is one message and exit code 3, and nobody is asked."""
    words = [word.format(project=project) for word in words]
    ended = openforge("run", "--server", fake.url, *words)
    assert (ended.code, ended.out) == (3, "")
    assert message in ended.err
    assert fake.requests == []


def passed(**values):
    return {"status": "passed", **values}


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        ("passed", results(), 0),
        ("passed", results(lint=passed(), crypto={"a": passed(), "b": {"status": "skipped"}}), 0),
        ("failed", results("failed", lint={"status": "failed"}), 1),
        ("inconclusive", results("inconclusive", lint={"status": "inconclusive"}), 2),
        ("skipped", results("skipped", lint={"status": "skipped"}), 2),
        ("error", results("error", lint={"status": "error"}), 3),
        ("cancelled", results("cancelled", lint={"status": "cancelled"}), 130),
        ("done", results(), 3),
        ("ok", results(), 3),
        ("failed", results(), 1),
        ("passed", results("failed"), 3),
        ("passed", results("wonderful"), 3),
        ("passed", results(lint={"status": "failed"}), 3),
        ("passed", results(lint={"status": "running"}), 3),
        ("passed", results(lint={"status": "skipped"}), 3),
        ("passed", results(lint={"status": True}), 3),
        ("passed", results(lint={}), 3),
        ("passed", results(lint=passed(), crypto={"a": passed(), "b": {"status": "failed"}}), 3),
        ("passed", results(lint=passed(), crypto={"a": "passed"}), 3),
        ("passed", results(simulation=passed()), 3),
        ("passed", {**results(), "stages": {}}, 3),
        ("passed", {**results(), "job_id": "job_2"}, 3),
        ("passed", {"overall_status": "passed"}, 3),
    ],
)
def test_only_a_pass_of_everything_is_zero(  # noqa: PLR0917  (pytest gives them by name)
    openforge, fake, project, status, said, code
):
    """The exit code is that of the status; a pass counts when nothing speaks against it."""
    fake.on(f"GET /jobs/{JOB_ID}", Answer(job(status)))
    fake.on(f"GET /jobs/{JOB_ID}/results", Answer(said))
    ended = openforge("run", project, *LINT, "--server", fake.url, "--json")
    assert ended.code == code, ended.err
    if code == 3 and status == "passed":
        assert "contradicts itself" in ended.err or "not understood" in ended.err


def test_a_stage_that_was_left_out(openforge, fake, project):
    """A pass of other stages than those that were asked for is none."""
    ended = openforge("run", project, *LINT, "--stage", "formal", "--server", fake.url)
    assert ended.code == 3
    assert "contradicts itself" in ended.err
    assert "! error" in ended.out


@pytest.mark.parametrize("route", ["", "/results"])
@pytest.mark.parametrize(
    "answer", [error(500, "a fault"), error(404, "gone"), Answer(b"{}"), Answer(job(), cut=True)]
)
def test_a_status_that_cannot_be_learned(openforge, fake, project, route, answer):
    """When the service does not say how the job ended, that is exit code 3 and one sentence."""
    fake.on(f"GET /jobs/{JOB_ID}{route}", answer)
    ended = openforge("run", project, *LINT, "--server", fake.url)
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith("openforge: the service")


def test_a_log_that_breaks_is_resumed(openforge, fake, project):
    """Each line is shown once, in order, however often the connection breaks."""
    first = line(1, "one") + line(2, "two")
    rest = line(2, "two") + line(5, "five")
    fake.on(
        f"GET /jobs/{JOB_ID}/logs", Answer(first, cut=True), Answer(b"", cut=True), Answer(rest)
    )
    asked = fake.asked

    def status(_):
        enough = len(asked(f"GET /jobs/{JOB_ID}/logs")) > 2 or len(fake.requests) > 500
        return Answer(job("passed" if enough else "running"))

    fake.on(f"GET /jobs/{JOB_ID}", status)
    ended = openforge("run", project, *LINT, "--server", fake.url)
    assert ended.code == 0, ended.err
    shown = [text.strip() for text in ended.err.splitlines()[1:]]
    assert shown == [
        "lint: started",
        "lint: one",
        "lint: two",
        "lint: five",
        "lint: passed (1.5 s)",
    ]
    assert [r.query["since"] for r in asked(f"GET /jobs/{JOB_ID}/logs")][:3] == ["0", "2", "2"]


def test_patience_is_told(openforge, fake, project):
    """What is sent again says so on stderr; a log that cannot be had costs no verdict."""
    route = f"POST /projects/{PROJECT_ID}/jobs"
    fake.on(route, error(503, "the queue is full", Retry_After="0"), Answer(job("queued"), 202))
    fake.on(f"GET /jobs/{JOB_ID}/logs", error(500, "no log"))
    ended = openforge("run", project, *LINT, "--server", fake.url)
    assert ended.code == 0
    assert "warning: the service at" in ended.err
    assert "the queue is full; trying again in 0 s" in ended.err
    assert "the job's log cannot be followed" in ended.err
    first, second = fake.asked(route)
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_nothing_is_deleted_before_the_upload_is_taken(openforge, fake, project):
    """An upload that is refused leaves the project as it was, and no job is submitted."""
    fake.on(f"GET /projects/{PROJECT_ID}/files", Answer({"files": [{"name": "old.v"}]}))
    fake.on(f"POST /projects/{PROJECT_ID}/upload", error(400, "no"))
    assert openforge("run", project, *LINT, "--server", fake.url).code == 3
    assert {r.method for r in fake.requests} == {"GET", "POST"}
    assert not fake.asked(f"POST /projects/{PROJECT_ID}/jobs")


@pytest.mark.parametrize("taken", [FILES[1:], [*FILES, "more.v"]])
def test_other_files_than_were_sent(openforge, fake, project, taken):
    """A service that takes fewer or other files does not get to run a job on them."""
    fake.on(f"POST /projects/{PROJECT_ID}/upload", Answer({"files": list(taken)}))
    ended = openforge("run", project, *LINT, "--server", fake.url)
    assert ended.code == 3
    assert "did not take all files" in ended.err
    assert not fake.asked(f"POST /projects/{PROJECT_ID}/jobs")


def test_a_project_that_is_there(openforge, fake, project):
    """One of the same name is used, by its id, and loses a process that is not named here."""
    fake.on("POST /projects", error(409, "there is a project called 'minimal' already"))
    there = {"id": PROJECT_ID, "name": "minimal", "target_pdk": "sky130"}
    fake.on("GET /projects", Answer({"projects": [there]}))
    fake.on(f"PUT /projects/{PROJECT_ID}", Answer({**there, "target_pdk": None}))
    assert openforge("run", project, *LINT, "--server", fake.url).code == 0
    (change,) = fake.asked(f"PUT /projects/{PROJECT_ID}")
    assert json.loads(change.body) == {"target_pdk": None}
    fake.on("GET /projects", Answer({"projects": [{"id": "proj_2", "name": "other"}]}))
    ended = openforge("run", project, *LINT, "--server", fake.url)
    assert "already" in ended.err
    assert not [r for r in fake.requests if "proj_2" in r.path]


def test_what_the_service_says_does_no_harm(openforge, fake, project):
    """Markup is shown as it is, and nothing that acts on a terminal gets there."""
    evil = "[red]x[/red]\x1b[2J\x1b]0;t\x07\u202e"
    finding = {"rule": evil, "level": "error", "message": evil, "location": {"file": evil}}
    result = {"summary": {evil: {evil: evil}}, "findings": [finding]}
    checks = {
        "lint": {"status": "passed", "result": result},
        "formal": {"status": "error", "error": evil},
    }
    fake.on(f"POST /jobs/{JOB_ID}/reports", Answer(report(project=evil, checks=checks)))
    fake.on("POST /projects", Answer({"id": PROJECT_ID, "name": evil}, 201))
    fake.on(f"GET /jobs/{JOB_ID}/logs", Answer(line(1, evil, level=evil)))
    ended = openforge("run", project, *LINT, "--server", fake.url)
    assert ended.code == 0, ended.err
    listed = {"jobs": [job(error=evil)], "projects": [{"id": PROJECT_ID, "name": evil}]}
    fake.on("GET /jobs", Answer(listed))
    fake.on("GET /projects", Answer(listed))
    fake.on(f"GET /jobs/{JOB_ID}/logs", Answer({"logs": [json.loads(line(1, evil, level=evil))]}))
    shown = [openforge(*words, "--server", fake.url) for words in (["list"], ["logs", JOB_ID])]
    for text in (ended.out, ended.err, *(one.out for one in shown)):
        assert "[red]x[/red]" in text
        assert text.replace("\n", "").isprintable()
    assert ended.out.count("[red]x[/red]") == 8  # a summary's three, a finding's, error, project


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_job(fake, project, number):
    """Ctrl-C, or being told to end, cancels the job at the service and waits: exit code 130."""
    fake.on(f"GET /jobs/{JOB_ID}", Answer(job("running")))
    fake.on(f"GET /jobs/{JOB_ID}/logs", Answer(b""))

    def stop(_):
        fake.on(f"GET /jobs/{JOB_ID}", Answer(job("running")), Answer(job("cancelled")))
        fake.on(f"GET /jobs/{JOB_ID}/results", Answer(results("cancelled")))
        return Answer(job("running"), 202)

    fake.on(f"POST /jobs/{JOB_ID}/cancel", stop)
    command = [sys.executable, "-m", "openforge", "run", str(project), *LINT, "--server", fake.url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert wait_for(lambda: fake.asked(f"GET /jobs/{JOB_ID}"))
            os.kill(process.pid, number)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "stopping the job" in err
    assert len(fake.asked(f"POST /jobs/{JOB_ID}/cancel")) == 1


def test_an_interrupt_while_a_job_is_submitted(openforge, fake, project):
    """A job that may have arrived is found again by its key, and cancelled."""
    route = f"POST /projects/{PROJECT_ID}/jobs"

    def interrupt(_):
        signal.raise_signal(signal.SIGINT)
        return Answer(job("queued"), 202)

    fake.on(route, interrupt, Answer(job("queued"), 202))
    fake.on(f"POST /jobs/{JOB_ID}/cancel", Answer(job("cancelled")))
    ended = openforge("run", project, *LINT, "--server", fake.url)
    assert ended.code == 130
    assert len({r.headers["Idempotency-Key"] for r in fake.asked(route)}) == 1
    assert len(fake.asked(route)) == 2
    assert len(fake.asked(f"POST /jobs/{JOB_ID}/cancel")) == 1
