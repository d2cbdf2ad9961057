"""The control database: one transaction for what belongs together, nothing twice."""

import json
import threading
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from openforge.control import idempotency, jobs, outbox, projects, tokens, webhooks
from openforge.control.database import Control, moment, now, seconds
from openforge.control.records import (
    Attempt,
    Project,
    StageEnd,
    Token,
    Wanted,
    Webhook,
    WebhookEvent,
)
from openforge.control.tables import METADATA
from openforge.errors import NameTaken, NotFound, OpenForgeError, QueueFull
from openforge.ids import new_id, new_seed
from openforge.model import Stage, State


@pytest.fixture
def control(tmp_path):
    """A control database of its own."""
    made = Control(tmp_path)
    yield made
    made.close()


def project(control, name="p", owner="alice"):
    """A project in the database."""
    made = Project(
        id=new_id("proj"),
        owner=owner,
        name=name,
        top_module=None,
        target_pdk=None,
        description="",
        revision=0,
        created_at=now(),
        updated_at=now(),
    )
    with control.write() as connection:
        return projects.create(connection, made)


def job(control, of, stages=(Stage.LINT,), capacity=100):
    """A job in the queue."""
    made = jobs.new(
        job_id=new_id("job"), project_id=of.id, owner=of.owner, stages=stages, overrides={}
    )
    with control.write() as connection:
        return jobs.enqueue(connection, made, capacity)


def claim(control):
    """The next job, started."""
    with control.write() as connection:
        return jobs.claim(connection)


def finish(control, started, status="passed", state=State.DONE):
    """Whether the job's end was recorded."""
    with control.write() as connection:
        return jobs.finish(connection, started.id, state, status)


def webhook(control, owner="alice", project_id=None, events=tuple(WebhookEvent)):
    """A webhook in the database."""
    made = Webhook(
        id=new_id("wh"),
        owner=owner,
        project_id=project_id,
        url="https://example.com/",
        events=events,
        secret=b"sealed",
        active=True,
        inactive_reason="",
        failing_since=None,
        created_at=now(),
    )
    with control.write() as connection:
        return webhooks.create(connection, made)


def messages(control, hook):
    """The bodies of all messages to a webhook, oldest first."""
    with control.read() as connection:
        found = outbox.listing(connection, hook.id, Wanted(per_page=100))
    return [json.loads(row.body) for row in sorted(found.rows, key=lambda row: row.number)]


def test_migrations_make_the_tables_that_the_code_uses(control):
    """Alembic finds no difference between the migrated database and the tables."""
    with control.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_it_opens_again_and_keeps_what_was_committed(control, tmp_path):
    """A second opening finds the first one's rows, and is durable and in WAL mode."""
    made = project(control)
    again = Control(tmp_path)
    with again.read() as connection:
        assert projects.get(connection, made.id) == made
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    again.close()


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path):
    """Not a traceback of SQLite's."""
    (tmp_path / "control.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(OpenForgeError, match="control database"):
        Control(tmp_path)


def test_a_transaction_that_fails_leaves_nothing(control):
    """Neither the job nor its outbox rows are there when the block raises."""
    of, hook = project(control), webhook(control)
    made = jobs.new(
        job_id="job_1", project_id=of.id, owner=of.owner, stages=[Stage.LINT], overrides={}
    )
    with pytest.raises(RuntimeError), control.write() as connection:
        jobs.enqueue(connection, made, 10)
        raise RuntimeError
    with control.read() as connection:
        assert jobs.find(connection, "job_1") is None
    assert messages(control, hook) == []


def test_writers_wait_for_each_other(control):
    """Many threads change one row at once, and every change counts."""
    of = project(control)

    def add():
        for _ in range(10):
            with control.write() as connection:
                found = projects.get(connection, of.id)
                projects.change(connection, of.id, {"revision": found.revision + 1})

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with control.read() as connection:
        assert projects.get(connection, of.id).revision == 80


def test_ids_follow_from_a_seed():
    """The same seed gives the same id, another prefix or seed another one, in order of time."""
    seed = new_seed()
    assert new_id("job", seed) == new_id("job", seed)
    assert new_id("job", seed) != new_id("job", new_seed())
    assert new_id("job", "1000.ab") < new_id("job", "2000.ab")
    assert len({new_id("msg", random_digits=16) for _ in range(1000)}) == 1000


def test_names_of_projects_are_unique_for_a_user_only(control):
    """Another user may have the name, and a deleted project gives it back."""
    first = project(control, "same")
    project(control, "same", owner="bob")
    with pytest.raises(NameTaken):
        project(control, "same")
    with control.write() as connection:
        projects.delete(connection, first.id)
    project(control, "same")
    with control.read() as connection, pytest.raises(NotFound):
        projects.get(connection, first.id)


def test_projects_are_listed_in_order_and_by_page(control):
    """Names from A to Z, moments newest first, `-` the other way; filters narrow the total."""
    made = []
    for name in ("b", "a", "c"):
        made.append(project(control, name))
        time.sleep(0.002)  # moments are kept in milliseconds

    def names(**wanted):
        with control.read() as connection:
            found = projects.listing(connection, Wanted(**wanted))
        return [row.name for row in found.rows], found.total

    assert names(sort="name") == (["a", "b", "c"], 3)
    assert names(sort="-name") == (["c", "b", "a"], 3)
    assert names(sort="created_at") == (["c", "a", "b"], 3)
    assert names(sort="name", page=2, per_page=2) == (["c"], 3)
    assert names(filters={"status": "active"}) == ([], 0)
    with control.write() as connection:
        projects.change(connection, made[0].id, {"revision": 1})
    assert names(filters={"status": "active"}) == (["b"], 1)
    assert names(filters={"owner": "bob"}) == ([], 0)


def test_the_queue_is_fair_between_projects(control):
    """A project that floods the queue does not hold up another one."""
    one, two = project(control, "one"), project(control, "two")
    flood = [job(control, one) for _ in range(5)]
    late = job(control, two)
    assert claim(control).id == flood[0].id
    assert claim(control).id == late.id
    assert claim(control).id == flood[1].id


def test_a_job_is_claimed_once(control):
    """Two at once cannot get the same job; an empty queue gives none."""
    of = project(control)
    waiting = {job(control, of).id for _ in range(20)}
    got = []

    def take():
        while found := claim(control):
            got.append(found.id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 20
    assert set(got) == waiting


def test_a_full_queue_refuses(control):
    """Running jobs do not count, waiting ones do."""
    of = project(control)
    job(control, of, capacity=1)
    with pytest.raises(QueueFull):
        job(control, of, capacity=1)
    claim(control)
    job(control, of, capacity=1)


def test_each_event_is_told_once(control):
    """However often an end is reported, and after a restart too."""
    of, hook = project(control), webhook(control)
    job(control, of)
    started = claim(control)
    with control.write() as connection:
        assert jobs.requeue(connection, started.id, crashed=True)
    again = claim(control)
    assert (again.id, again.attempt, again.crashes) == (started.id, 2, 1)
    end = StageEnd(stage=Stage.LINT, status="passed", duration_s=1.0)
    for _ in range(2):
        with control.write() as connection:
            jobs.stage_ended(connection, started.id, end, {"tests_passed": 1})
    assert finish(control, started)
    assert not finish(control, started, "failed")
    told = messages(control, hook)
    assert [m["event"] for m in told] == [
        "job.queued",
        "job.started",
        "stage.completed",
        "job.completed",
    ]
    assert told[2]["stage"] == "lint"
    assert told[2]["summary"] == {"tests_passed": 1}
    assert told[3]["status"] == "passed"
    assert set(told[0]) == {"event", "timestamp", "job_id", "project_id", "status", "summary"}


@pytest.mark.parametrize(
    ("status", "state", "event"),
    [
        ("passed", State.DONE, "job.completed"),
        ("failed", State.DONE, "job.failed"),
        ("inconclusive", State.DONE, "job.failed"),
        ("skipped", State.DONE, "job.failed"),
        ("error", State.ERROR, "job.failed"),
        ("cancelled", State.CANCELLED, "job.cancelled"),
    ],
)
def test_only_passed_is_told_as_completed(control, status, state, event):
    """What could not be decided is no success."""
    of, hook = project(control), webhook(control)
    job(control, of)
    finish(control, claim(control), status, state)
    assert messages(control, hook)[-1]["event"] == event
    assert messages(control, hook)[-1]["status"] == status


def test_webhooks_hear_of_their_own_only(control):
    """Not of another user's jobs, another project's, or events that they did not ask for."""
    mine, other = project(control), project(control, "other")
    theirs = project(control, owner="bob")
    all_, bound = webhook(control), webhook(control, project_id=mine.id)
    few = webhook(control, events=(WebhookEvent.FAILED,))
    for of in (mine, other, theirs):
        job(control, of)
    assert {m["project_id"] for m in messages(control, all_)} == {mine.id, other.id}
    assert {m["project_id"] for m in messages(control, bound)} == {mine.id}
    assert messages(control, few) == []


def test_a_job_that_takes_its_runner_down_is_not_started_for_ever(control):
    """It starts again twice; put back by a shutdown it may start as often as needed."""
    job(control, project(control))
    for _ in range(5):
        started = claim(control)
        with control.write() as connection:
            assert jobs.requeue(connection, started.id, crashed=False)
    for expected in (True, True, False):
        started = claim(control)
        with control.write() as connection:
            assert jobs.requeue(connection, started.id, crashed=True) is expected


def test_cancelling(control):
    """At once when it waits, later when it runs, never when it has ended; twice does no harm."""
    of, hook = project(control), webhook(control, events=(WebhookEvent.CANCELLED,))
    waiting = job(control, of)
    with control.write() as connection:
        assert jobs.ask_to_cancel(connection, waiting.id).status == "cancelled"
        assert jobs.ask_to_cancel(connection, waiting.id).status == "cancelled"
    assert len(messages(control, hook)) == 1
    job(control, of)
    running = claim(control)
    with control.write() as connection:
        asked = jobs.ask_to_cancel(connection, running.id)
        assert (asked.status, asked.cancel_asked) == ("running", True)
        assert jobs.requeue(connection, running.id, crashed=True)  # its runner died meanwhile
        assert jobs.get(connection, running.id).status == "cancelled"
    assert claim(control) is None


def test_estimates_come_from_like_jobs(control):
    """Of this project, or failing that of all; of jobs with a verdict and the same stages."""
    of, other = project(control), project(control, "other")
    ran = [(of, "passed", 10.0), (other, "failed", 20.0), (other, "error", 1.0)]
    for where, status, spent in ran:
        assert job(control, where).estimate_s in (None, 10.0, 20.0)
        started = claim(control)
        finish(control, started, status, State.ERROR if status == "error" else State.DONE)
        with control.write() as connection:
            jobs._set(connection, started.id, duration_s=spent)
    assert job(control, project(control, "new")).estimate_s == 15.0
    assert job(control, of).estimate_s == 10.0
    assert job(control, of, (Stage.LINT, Stage.FORMAL)).estimate_s is None


def token(scopes=("submit",), **options):
    """A token that is in no database yet."""
    values = {
        "id": new_id("tok"),
        "prefix": "",
        "name": "ci",
        "user": "alice",
        "project_id": None,
        "created_at": now(),
        "expires_at": None,
        "last_used_at": None,
    }
    return Token(**values | options, scopes=frozenset(scopes))


def test_tokens_are_kept_as_hashes(control, tmp_path):
    """256 bits, found again, and the file of the database does not have them."""
    with control.write() as connection:
        secret = tokens.create(connection, token())
    assert len(secret) == len("of_") + 43
    with control.read() as connection:
        assert tokens.find(connection, secret).user == "alice"
        assert tokens.find(connection, secret[:-1] + "x") is None
        assert tokens.find(connection, "") is None
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in files
    assert secret[:10].encode() in files


def test_tokens_expire_and_can_be_revoked(control):
    """From that moment on they open nothing."""
    old = token(expires_at=moment(seconds(now()) - 1))
    young = token(expires_at=moment(seconds(now()) + 60))
    with control.write() as connection:
        assert tokens.find(connection, tokens.create(connection, old)) is None
        secret = tokens.create(connection, young)
        assert tokens.find(connection, secret)
        assert tokens.is_alive(connection, young.id)
        tokens.revoke(connection, young.id)
        assert not tokens.is_alive(connection, young.id)
        assert tokens.find(connection, secret) is None
        with pytest.raises(NotFound):
            tokens.revoke(connection, young.id)


def test_idempotency_keys(control):
    """A key keeps its seed until it is answered, and its answer then; another request differs."""

    def claimed(fingerprint="a", user="u"):
        with control.write() as connection:
            return idempotency.claim(connection, user, "key", fingerprint)

    first = claimed()
    assert (first.same, first.answer) == (True, None)
    assert claimed().seed == first.seed
    assert not claimed("b").same
    assert claimed(user="v").seed != first.seed  # somebody else's key
    with control.write() as connection:
        idempotency.answer(connection, "u", "key", 202, b"text")
    again = claimed()
    assert (again.seed, again.status, again.answer) == (first.seed, 202, b"text")
    assert claimed(user="v").answer is None


def test_idempotency_keys_are_forgotten_after_a_day(control, monkeypatch):
    """The same key is then a new one."""
    with control.write() as connection:
        first = idempotency.claim(connection, "u", "key", "a")
        idempotency.answer(connection, "u", "key", 201, b"")
    monkeypatch.setattr(idempotency, "KEPT_S", -1.0)
    with control.write() as connection:
        again = idempotency.claim(connection, "u", "key", "b")
    assert again.same
    assert again.seed != first.seed


def test_the_outbox_gives_one_message_a_webhook(control):
    """In order; a message that failed waits for its time, and others of the webhook do not."""
    hook = webhook(control)
    with control.write() as connection:
        one = outbox.add(connection, hook.id, "ping", "{}")
        two = outbox.add(connection, hook.id, "ping", "{}")
        assert [d.id for d in outbox.due(connection, frozenset())] == [one.id]
        assert outbox.due(connection, frozenset([hook.id])) == []
        failed = Attempt(at=now(), status_code=500, error="500", duration_s=0.1)
        outbox.record(connection, one, failed, outbox.PENDING, seconds(now()) + 100)
        assert [d.id for d in outbox.due(connection, frozenset())] == [two.id]
        good = Attempt(at=now(), status_code=204, error="", duration_s=0.1)
        outbox.record(connection, two, good, outbox.DELIVERED, 0.0)
        assert outbox.due(connection, frozenset()) == []
        again = outbox.send_again(connection, one.id)
        assert (again.id, again.attempts, len(again.tries)) == (one.id, 0, 1)
        outbox.record(connection, again, good, outbox.DELIVERED, 0.0)
        assert [t.number for t in outbox.get(connection, one.id).tries] == [1, 2]


def test_a_webhook_that_fails_for_days_is_switched_off(control, monkeypatch):
    """Also one that says that it is gone; a message that arrives switches it on again."""
    hook = webhook(control)
    with control.write() as connection:
        outbox.add(connection, hook.id, "ping", "{}")
        webhooks.did_not_work(connection, hook, gone=False)
        assert webhooks.get(connection, hook.id).active
        monkeypatch.setattr(webhooks, "DISABLE_AFTER_S", -1.0)
        webhooks.did_not_work(connection, webhooks.get(connection, hook.id), gone=False)
        assert not webhooks.get(connection, hook.id).active
        assert outbox.due(connection, frozenset()) == []
        webhooks.worked(connection, hook.id)
        assert webhooks.get(connection, hook.id).active
        webhooks.did_not_work(connection, webhooks.get(connection, hook.id), gone=True)
        assert "410" in webhooks.get(connection, hook.id).inactive_reason


def test_a_deleted_webhook_keeps_no_secret(control):
    """And nothing more is sent to it."""
    hook = webhook(control)
    with control.write() as connection:
        outbox.add(connection, hook.id, "ping", "{}")
        webhooks.delete(connection, hook.id)
        assert outbox.due(connection, frozenset()) == []
        assert connection.exec_driver_sql("select secret from webhooks").scalar() == b""
        with pytest.raises(NotFound):
            webhooks.get(connection, hook.id)
