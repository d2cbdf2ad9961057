"""A job's copy of the project."""

import os

import pytest

from openforge import snapshot
from openforge.errors import OpenForgeError


def test_regular_files_are_copied_and_nothing_else(tmp_path):
    """Hidden files, caches, pipes and links that lead out stay behind; odd names do not."""
    project = tmp_path / "mein Projekt é"
    (project / "rtl").mkdir(parents=True)
    (project / "rtl" / "a b.sv").write_text("module m; endmodule")
    (project / ".git").mkdir()
    (project / ".git" / "config").write_text("x")
    (project / "__pycache__").mkdir()
    (project / "__pycache__" / "x.pyc").write_text("x")
    (project / "passwd").symlink_to("/etc/passwd")
    (project / "all").symlink_to("/etc")
    os.mkfifo(project / "pipe")
    snapshot.take(project, tmp_path / "copy")
    copied = [
        p.relative_to(tmp_path / "copy") for p in (tmp_path / "copy").rglob("*") if p.is_file()
    ]
    assert [str(p) for p in copied] == ["rtl/a b.sv"]


def test_a_workspace_inside_the_project_is_left_out(tmp_path):
    """Runs are not copied into runs."""
    target = tmp_path / "ws" / "runs" / "job_1" / "project"
    target.parent.mkdir(parents=True)
    (target.parent / "old.txt").write_text("x")
    (tmp_path / "a.sv").write_text("x")
    assert snapshot.take(tmp_path, target) == 1


def test_a_project_that_is_too_large_is_refused(tmp_path, monkeypatch):
    """A folder that is no project, as a home folder is none, is refused early."""
    monkeypatch.setattr(snapshot, "MAX_FILES", 3)
    project = tmp_path / "p"
    project.mkdir()
    for number in range(4):
        (project / f"{number}.sv").write_text("x")
    with pytest.raises(OpenForgeError, match="more than 3 files"):
        snapshot.take(project, tmp_path / "copy")


def test_a_project_that_cannot_be_read_is_named(tmp_path):
    """A project folder that is not there is an error with its path."""
    with pytest.raises(OpenForgeError, match="nowhere"):
        snapshot.take(tmp_path / "nowhere", tmp_path / "copy")


def test_links_inside_the_project_are_kept(tmp_path):
    """A test or a property that is a link is one like any other."""
    project, copy = tmp_path / "p", tmp_path / "copy"
    (project / "shared").mkdir(parents=True)
    (project / "shared" / "test_b.py").write_text("b")
    (project / "tb").mkdir()
    (project / "tb" / "test_b.py").symlink_to("../shared/test_b.py")
    (project / "formal").symlink_to(project / "shared")
    snapshot.take(project, copy)
    for name in ("tb/test_b.py", "formal/test_b.py"):
        assert (copy / name).read_text() == "b"
        assert (copy / name).resolve().is_relative_to(copy.resolve())


@pytest.mark.parametrize("folder", ["sim_build", "venv", ".hidden"])
def test_a_file_that_is_asked_for_is_not_lost_in_silence(tmp_path, folder):
    """What a pattern names and a job would not see is an error, before anything runs."""
    project, copy = tmp_path / "p", tmp_path / "copy"
    for name in ("tb/test_a.py", f"{folder}/test_b.py"):
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text("")
    snapshot.take(project, copy)
    snapshot.require_same(project, copy, {"testbenches": ["tb/*.py"]})
    with pytest.raises(OpenForgeError, match=f"testbenches names {folder}/test_b.py"):
        snapshot.require_same(project, copy, {"testbenches": ["tb/*.py", f"{folder}/*.py"]})
