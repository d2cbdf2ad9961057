"""Jobs on disk: ids, ownership, what is said of a job whose runner is gone."""

import multiprocessing

import pytest

from openforge.errors import NotFound, OpenForgeError
from openforge.ids import new_id
from openforge.model import Stage, State
from openforge.record import JobFile
from openforge.workspace import Workspace, owned, write_job


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "ws")


def add(workspace, state=State.DONE):
    path = workspace.new_job_folder()
    job = JobFile(
        job_id=path.name,
        project="p",
        source="/p",
        stages=(Stage.LINT,),
        checks={"lint": Stage.LINT},
        submitted_at="2026-01-01T00:00:00+00:00",
        state=state,
    )
    write_job(path, job)
    return path


def test_ids_are_in_order_and_unique():
    """Later jobs sort later, also within a second."""
    ids = [new_id("job") for _ in range(500)]
    assert len(set(ids)) == 500
    assert [i[:13] for i in ids] == sorted(i[:13] for i in ids)


def test_jobs_are_found_by_id_beginning_and_last(workspace):
    """A user can name a job in the ways people do."""
    first, second = add(workspace), add(workspace)
    assert {job.id for job in workspace.jobs()} == {first.name, second.name}
    assert workspace.job(first.name).id == first.name
    assert workspace.job("last").id == max(first.name, second.name)
    for name in ("job_", "nothing", "", "../etc"):
        with pytest.raises(NotFound):
            workspace.job(name)


def test_no_workspace_yet(workspace):
    """A workspace that does not exist holds no jobs and is not made by looking."""
    assert workspace.jobs() == []
    assert not workspace.path.exists()


def test_a_running_job_whose_process_is_gone_is_an_error(workspace):
    """The lock, not the file, says whether a job runs."""
    path = add(workspace, State.RUNNING)
    job = workspace.job(path.name)
    assert job.status == "error"
    assert "interrupted" in job.error
    assert [check.status for check in job.checks] == ["error"]


def _hold(path, ready, release):
    with owned(path):
        ready.set()
        release.wait(20)


def test_a_job_is_run_by_one_process(workspace):
    """While one process holds a job it counts as running, and a second one is refused."""
    path = add(workspace, State.RUNNING)
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(path, ready, release))
    holder.start()
    assert ready.wait(20)
    assert workspace.job(path.name).status == "running"
    with pytest.raises(OpenForgeError, match="another process"), owned(path):
        pass
    holder.kill()
    holder.join()
    assert workspace.job(path.name).status == "error"


def test_unwritable_workspace_is_a_clear_error(tmp_path):
    """A file where the workspace should be is named in the message."""
    (tmp_path / "ws").write_text("a file")
    with pytest.raises(OpenForgeError, match="OPENFORGE_WORKSPACE"):
        Workspace(tmp_path / "ws").new_job_folder()


def test_damaged_job_files_do_not_hide_the_others(workspace):
    """A folder with a broken job.json is left out of the list."""
    good, bad = add(workspace), add(workspace)
    (bad / "job.json").write_text("{")
    assert [job.id for job in workspace.jobs()] == [good.name]
