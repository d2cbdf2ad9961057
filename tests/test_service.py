"""The service behind HTTP: jobs survive, files change all at once, messages arrive."""

import asyncio
import os
import shutil
import signal
import time

import psutil
import pytest
from conftest import needs
from receiver import receiving

from openforge.control import jobs as queue
from openforge.control import outbox, projects, webhooks
from openforge.control.database import now
from openforge.control.records import Project, Wanted, Webhook, WebhookEvent
from openforge.errors import Busy, ConfigError, NotFound, OpenForgeError, QueueFull, ToolMissing
from openforge.event_log import JOB_EVENTS, EventLog, read_events
from openforge.ids import new_id, new_seed
from openforge.model import Stage, State
from openforge.record import read_job
from openforge.service import leftovers
from openforge.service import service as services
from openforge.service import settings as service_settings
from openforge.service.service import Service
from openforge.service.settings import ServiceSettings
from openforge.service.vault import Vault

LINT = """
project: {name: tiny, top_module: tiny}
design: {sources: [rtl/*.sv]}
"""
GOOD = """module tiny (input logic clk, output logic q);
  always_ff @(posedge clk) q <= 1;
endmodule
"""
SLEEPY = """
import cocotb
from cocotb.triggers import Timer
import time

@cocotb.test()
async def sleeps(dut):
    time.sleep(60)
    await Timer(1, "ns")
"""


@pytest.fixture
def service(tmp_path):
    """A service that takes jobs and runs none until it is started."""
    made = Service(tmp_path, ServiceSettings(jobs_at_a_time=1, min_free_mb=0, drain_s=0))
    yield made
    made.drain() if any(t.is_alive() for t in made.slots._threads) else None
    made.close()


def project(service, files=None, name="tiny"):
    """A project with files."""
    made = Project(
        id=new_id("proj"),
        owner="alice",
        name=name,
        top_module=None,
        target_pdk=None,
        description="",
        revision=0,
        created_at=now(),
        updated_at=now(),
    )
    with service.control.write() as connection:
        projects.create(connection, made)
    given = {"openforge.yaml": LINT, "rtl/tiny.sv": GOOD} if files is None else files
    return upload(service, made, given) if given else made


def upload(service, of, files):
    """The project with some more files."""
    with service.files.incoming() as folder:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return service.take_files(of, folder)


def get(service, job):
    """The job as it is now."""
    with service.control.read() as connection:
        return queue.get(connection, job.id)


def wait(service, job, done, timeout_s=60.0):
    """The job as soon as `done(job)`."""
    end = time.monotonic() + timeout_s
    while not done(found := get(service, job)):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def final(job):
    """Whether the job has ended."""
    return job.state.final


def test_a_job_runs_to_its_end(service):
    """Through a worker process; its folder is what `openforge run` leaves."""
    needs("verilator")
    job = service.submit(project(service), [Stage.LINT], {})
    service.start()
    ended = wait(service, job, final)
    assert (ended.status, ended.attempt, ended.ended[0].stage) == ("passed", 1, Stage.LINT)
    record = service.record(job)
    assert record.status == "passed"
    assert (record.path / "report.html").is_file()
    assert record.check("lint").manifest.verdict == "passed"


def test_a_job_sees_the_files_that_it_was_submitted_with(service):
    """What is uploaded afterwards is for the next job."""
    needs("verilator")
    of = project(service)
    job = service.submit(of, [Stage.LINT], {})
    changed = upload(service, of, {"rtl/tiny.sv": "module tiny; this is no Verilog; endmodule"})
    again = service.submit(changed, [Stage.LINT], {})
    service.start()
    assert wait(service, job, final).status == "passed"
    assert wait(service, again, final).status == "failed"
    retried = service.retry(get(service, job))
    assert wait(service, retried, final).status == "passed"


def test_a_killed_worker_costs_an_attempt_and_no_job(service):
    """The job starts again, and nothing of the first attempt is left running."""
    needs("verilator", "cocotb", "c++")
    files = {
        "openforge.yaml": LINT
        + "verification: {simulation: {testbenches: [tb/*.py], timeout_seconds: 50}}",
        "rtl/tiny.sv": GOOD,
        "tb/test_tiny.py": SLEEPY,
    }
    job = service.submit(project(service, files), [Stage.LINT, Stage.SIMULATION], {})
    service.start()
    events = service.record(job).path / JOB_EVENTS
    wait(service, job, lambda _: any("unning" in str(e) for e in read_events(events)))
    wait(service, job, lambda j: any(e.stage is Stage.LINT for e in j.ended))
    below = psutil.Process().children(recursive=True)
    [worker] = [p for p in below if "openforge.service.worker" in p.cmdline()]
    tree = worker.children(recursive=True)
    assert tree
    os.kill(worker.pid, signal.SIGKILL)
    again = wait(service, job, lambda j: j.attempt == 2)
    assert not [p for p in tree if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert again.crashes == 1
    kept = wait(service, job, lambda _: "kept from an earlier attempt" in events.read_text())
    assert kept.state is State.RUNNING
    numbers = [event["seq"] for event in read_events(events)]
    assert numbers == list(range(1, len(numbers) + 1))
    service.cancel(job)
    ended = wait(service, job, final)
    assert ended.error == ""
    assert ended.status == "cancelled"
    assert service.cancel(job).status == "cancelled"


def test_a_shutdown_puts_running_jobs_back(service, tmp_path):
    """They wait for the next service, which runs them; that is no crash."""
    needs("verilator")
    job = service.submit(project(service), [Stage.LINT], {})
    service.start()
    wait(service, job, lambda j: j.state is not State.QUEUED)
    service.drain()
    stopped = get(service, job)
    assert stopped.state.final or (stopped.state, stopped.crashes) == (State.QUEUED, 0)
    if stopped.state is State.QUEUED:
        assert service.record(job).state is State.QUEUED  # to everybody who looks at the folder
    service.close()
    again = Service(tmp_path, ServiceSettings(jobs_at_a_time=1, min_free_mb=0, drain_s=0))
    try:
        again.start()
        assert wait(again, job, final).status == "passed"
        again.drain()
    finally:
        again.close()


def test_what_a_killed_service_left_is_settled(service, tmp_path):
    """A job that had ended has ended; one under way starts again; what nobody knows is removed."""
    of = project(service)
    ended, under_way = (service.submit(of, [Stage.LINT], {}) for _ in range(2))
    waiting = service.submit(of, [Stage.LINT], {})
    stray = service.submit(of, [Stage.LINT], {})
    for _ in range(2):
        with service.control.write() as connection:
            queue.claim(connection)
    with service.control.write() as connection:
        connection.exec_driver_sql("delete from jobs where id = ?", (stray.id,))
    record = read_job(tmp_path / "runs" / ended.id)
    done = {"state": State.CANCELLED, "finished_at": now()}
    (record.path / "job.json").write_text(record.file.model_copy(update=done).model_dump_json())
    mine = tmp_path / "runs" / "job_of_the_cli"
    shutil.copytree(tmp_path / "runs" / waiting.id, mine)
    text = (mine / "job.json").read_text().replace('"service": true', '"service": false')
    (mine / "job.json").write_text(text)
    (tmp_path / "runs" / "job_that_was_begun").mkdir()
    half = new_seed()
    (tmp_path / "runs" / new_id("job", half) / "project").mkdir(parents=True)
    dropped = service.submit(of, [Stage.LINT], {})
    with service.control.write() as connection:
        queue.ask_to_cancel(connection, dropped.id)
    leftovers.settle(service.control, service.workspace, service.files)
    assert service.record(dropped).state is State.CANCELLED
    assert not (tmp_path / "runs" / "job_that_was_begun").exists()
    assert service.submit(of, [Stage.LINT], {}, half).id == new_id("job", half)
    assert get(service, ended).status == "cancelled"
    assert (get(service, under_way).state, get(service, under_way).crashes) == (State.QUEUED, 1)
    assert get(service, waiting).state is State.QUEUED
    assert not (tmp_path / "runs" / stray.id).exists()
    assert mine.exists()


def test_a_job_without_its_folder_ends_in_error(service, tmp_path):
    """It was removed by hand: that is said, and the queue goes on."""
    needs("verilator")
    of = project(service)
    lost, fine = (service.submit(of, [Stage.LINT], {}) for _ in range(2))
    shutil.rmtree(tmp_path / "runs" / lost.id)
    service.start()
    assert wait(service, lost, final).status == "error"
    assert get(service, lost).error
    assert wait(service, fine, final).status == "passed"


def test_a_workspace_has_one_service(service, tmp_path):
    """A second one is told so."""
    with pytest.raises(Busy, match="another OpenForge service"):
        Service(tmp_path, ServiceSettings())


def test_the_same_seed_makes_one_job(service):
    """A request that is sent again after a crash finds what the first one made."""
    of, seed = project(service), new_seed()
    first = service.submit(of, [Stage.LINT], {}, seed)
    assert service.submit(of, [Stage.LINT], {}, seed) == first
    again = service.retry(first, new_seed())
    assert again.id != first.id
    assert len(list(service.workspace.runs.iterdir())) == 2


def test_submissions_that_cannot_run_leave_nothing(service, monkeypatch):
    """No files, no project file, a bad override, a missing tool, a full queue, no project."""
    of = project(service)

    def refused(error, what=of, stages=(Stage.LINT,), overrides=None):
        with pytest.raises(error):
            service.submit(what, stages, overrides or {})
        assert list(service.workspace.runs.iterdir()) == []

    refused(NotFound, project(service, {}, "empty"))
    refused(NotFound, project(service, {"rtl/tiny.sv": GOOD}, "bare"))
    refused(ConfigError, overrides={"verification.simlation.waves": True})
    with monkeypatch.context() as patch:
        patch.setattr(services.locate, "program", _missing)
        refused(ToolMissing)
    with monkeypatch.context() as patch:
        patch.setattr(queue, "require_room", _full)
        refused(QueueFull)
    service.delete_project(of)
    refused(NotFound)


def _missing(name):
    raise ToolMissing(f"'{name}' is not installed")


def _full(*_):
    raise QueueFull("full")


def test_the_last_word_on_the_top_module_counts(service):
    """The project file's, unless it was changed after the upload; then until the next upload."""
    of = project(service)
    assert of.top_module == "tiny"
    with service.control.write() as connection:
        of = projects.change(connection, of.id, {"top_module": "other"})
    job = service.submit(of, [Stage.LINT], {})
    assert job.overrides == {"project.top_module": "other"}
    of = upload(service, of, {"openforge.yaml": LINT})
    assert service.submit(of, [Stage.LINT], {}).overrides == {}


def test_deleting_a_project_cancels_its_jobs(service, tmp_path):
    """Those that wait at once; its files are gone, its jobs' folders remain."""
    of = project(service)
    job = service.submit(of, [Stage.LINT], {})
    service.delete_project(of)
    assert get(service, job).status == "cancelled"
    assert service.record(job).state is State.CANCELLED  # to everybody who looks at the folder
    assert not (tmp_path / "projects" / of.id).exists()
    with pytest.raises(NotFound):
        upload(service, of, {"a.sv": ""})
    assert not (tmp_path / "projects" / of.id).exists()


def test_uploads_take_effect_as_a_whole(service, tmp_path):
    """Or not at all: a bad project file, a file in a folder's place, too many files."""
    of = project(service)
    before = {e.name for e in service.files.entries(of)}
    kept = ["1"]

    def refused(error, files):
        with pytest.raises(error):
            upload(service, of, {"new.sv": GOOD, **files})
        with service.control.read() as connection:
            now_ = projects.get(connection, of.id)
        assert {e.name for e in service.files.entries(now_)} == before
        folders = sorted(p.name for p in (tmp_path / "projects" / of.id).iterdir())
        assert folders == kept
        assert list((tmp_path / "projects" / ".incoming").iterdir()) == []

    refused(ConfigError, {"openforge.yaml": "project: {nme: x}"})
    refused(OpenForgeError, {"rtl": "a file where a folder is"})
    refused(OpenForgeError, {"openforge.yaml/x": "a folder where a file is"})
    after = upload(service, of, {"rtl/new.sv": GOOD, "rtl/tiny.sv": "changed"})
    assert {e.name for e in service.files.entries(after)} == before | {"rtl/new.sv"}
    assert service.files.file(after, "rtl/tiny.sv").read_text() == "changed"
    dropped = service.drop_file(after, "rtl/new.sv")
    assert {e.name for e in service.files.entries(dropped)} == before
    assert sorted(p.name for p in (tmp_path / "projects" / of.id).iterdir()) == ["2", "3"]
    for name in ("../1/openforge.yaml", "/etc/passwd", "rtl", ""):
        with pytest.raises(NotFound):
            service.files.file(dropped, name)


def test_settings_are_read_from_the_environment(monkeypatch, tmp_path):
    """And from .env, which does not win; a bad value is named."""
    (tmp_path / ".env").write_text(
        "OPENFORGE_AUTH_ENABLED=true\nOPENFORGE_QUEUE_CAPACITY=5\nPATH=/nowhere\n"
    )
    monkeypatch.setenv("OPENFORGE_QUEUE_CAPACITY", "7")
    monkeypatch.setenv("OPENFORGE_WEBHOOK_RETRIES_S", "0, 1.5")
    monkeypatch.delenv("OPENFORGE_AUTH_ENABLED", raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    before = os.environ["PATH"]
    service_settings.load_env_file(tmp_path / ".env")
    found = service_settings.load()
    assert (found.auth_enabled, found.queue_capacity) == (True, 7)
    assert found.webhook_retries_s == (0.0, 1.5)
    assert os.environ["PATH"] == before
    monkeypatch.setitem(os.environ, "OPENFORGE_QUEUE_CAPACITY", "many")
    with pytest.raises(OpenForgeError, match="OPENFORGE_QUEUE_CAPACITY"):
        service_settings.load()


def test_the_vault_keeps_secrets(tmp_path):
    """Its key is private, is made once, and another workspace's cannot open what it sealed."""
    sealed = Vault(tmp_path).seal(b"secret")
    assert b"secret" not in sealed
    assert Vault(tmp_path).open(sealed) == b"secret"
    assert (tmp_path / "service.key").stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(OpenForgeError, match="another"):
        Vault(other).open(sealed)
    (tmp_path / "service.key").write_bytes(b"x")
    with pytest.raises(OpenForgeError, match="damaged"):
        Vault(tmp_path)


def test_events_go_on_after_a_crash(tmp_path):
    """A half-written line is cut off, and the numbers go on after the last whole one."""
    with EventLog(tmp_path, lambda _: None) as log:
        log.tell({"type": "log", "message": "one"})
        log.tell({"type": "log", "message": "two"})
    with (tmp_path / JOB_EVENTS).open("a") as file:
        file.write('{"seq": 3, "type": "lo')
    with EventLog(tmp_path, lambda _: None) as log:
        log.tell({"type": "log", "message": "three"})
    found = [(e["seq"], e["message"]) for e in read_events(tmp_path / JOB_EVENTS)]
    assert found == [(1, "one"), (2, "two"), (3, "three")]


def hook(service, url, secret=b"a secret of mine"):
    """A webhook in the service's database."""
    made = Webhook(
        id=new_id("wh"),
        owner="alice",
        project_id=None,
        url=url,
        events=tuple(WebhookEvent),
        secret=service.vault.seal(secret),
        active=True,
        inactive_reason="",
        failing_since=None,
        created_at=now(),
    )
    with service.control.write() as connection:
        return webhooks.create(connection, made)


def send(service, to):
    """A message in the outbox."""
    with service.control.write() as connection:
        return outbox.add(connection, to.id, "ping", '{"event": "ping"}')


def states(service, to):
    """State and number of attempts of each message to a webhook, oldest first."""
    with service.control.read() as connection:
        rows = outbox.listing(connection, to.id, Wanted(per_page=100)).rows
    return [(row.state, len(row.tries)) for row in sorted(rows, key=lambda row: row.number)]


async def until(done, timeout_s=15.0):
    """Wait for `done()`."""
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def couriered(tmp_path, story, **settings):
    """Run `story(service)` beside the courier of a service."""

    async def main():
        options = {"webhook_private": True, "webhook_retries_s": (0.0, 0.1, 0.1), **settings}
        service = Service(tmp_path, ServiceSettings(**options))
        courier = asyncio.create_task(service.courier.run())
        try:
            await story(service)
        finally:
            courier.cancel()
            await asyncio.gather(courier, return_exceptions=True)
            service.close()

    asyncio.run(main())


def test_a_message_is_tried_until_it_arrives(tmp_path):
    """With the same id each time; after the last attempt it has failed, and can be sent again."""

    async def story(service):
        with receiving(status=500) as receiver:
            to = hook(service, receiver.url)
            send(service, to)
            service.courier.wake()
            await until(lambda: states(service, to) == [("failed", 3)])
            receiver.status = 200
            with service.control.write() as connection:
                [row] = outbox.listing(connection, to.id, Wanted()).rows
                outbox.send_again(connection, row.id)
            service.courier.wake()
            await until(lambda: states(service, to) == [("delivered", 4)])
            assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1

    couriered(tmp_path, story)


def test_a_slow_receiver_holds_nobody_back(tmp_path):
    """Others get theirs at once; it gets its own one after the other."""

    async def story(service):
        with receiving(delay_s=1.0) as slow, receiving() as quick:
            to_slow, to_quick = hook(service, slow.url), hook(service, quick.url)
            for _ in range(3):
                send(service, to_slow)
                send(service, to_quick)
            began = time.monotonic()
            service.courier.wake()
            await until(lambda: states(service, to_quick) == [("delivered", 1)] * 3)
            assert time.monotonic() - began < 1.0
            assert len(slow.got) <= 1

    couriered(tmp_path, story)


def test_messages_survive_a_restart(tmp_path):
    """What was not delivered when the service was killed is delivered by the next one."""
    made = Service(tmp_path, ServiceSettings())
    with receiving() as receiver:
        to = hook(made, receiver.url)
        for _ in range(3):
            send(made, to)
        made.close()

        async def story(service):
            await until(lambda: states(service, to) == [("delivered", 1)] * 3)

        couriered(tmp_path, story)
        assert len(receiver.got) == 3


def test_private_networks_are_not_reached(tmp_path):
    """Unless a setting allows them: the attempt is refused before anything is sent."""

    async def story(service):
        with receiving() as receiver:
            to = hook(service, receiver.url)
            send(service, to)
            service.courier.wake()
            await until(lambda: states(service, to)[0][0] == "failed")
            assert receiver.got == []

    couriered(tmp_path, story, webhook_private=False)


def test_a_receiver_that_is_gone_is_not_asked_again(tmp_path):
    """410 switches the webhook off; a ping that arrives switches it on."""

    async def story(service):
        with receiving(status=410) as receiver:
            to = hook(service, receiver.url)
            send(service, to)
            service.courier.wake()
            await until(lambda: states(service, to) == [("failed", 1)])
            with service.control.read() as connection:
                assert not webhooks.get(connection, to.id).active

    couriered(tmp_path, story)
