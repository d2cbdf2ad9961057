"""The run folder: claimed once, sealed once, altered never unnoticed."""

import os

import pytest

from openforge.model import State, Verdict
from openforge.run_folder import RunFolder, altered, read_manifest


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "runs" / "lint.tmp")


def seal(folder):
    return folder.seal("lint", State.DONE, Verdict.PASSED, "", "2026-01-01T00:00:00+00:00", 1.5)


def test_a_folder_is_claimed_once(folder):
    """Two runs can never share a folder."""
    with pytest.raises(FileExistsError):
        RunFolder.create(folder.path)


def test_sealing_lists_every_file_and_renames(folder):
    """The manifest has name, size, digest and type of all files; scratch space is gone."""
    (folder.artifacts / "trace.fst").write_bytes(b"abc")
    (folder.work / "scratch").write_text("x")
    folder.table("metrics", [{"name": "errors", "value": 1.0}])
    final = seal(folder)
    assert final.name == "lint"
    assert not folder.path.exists()
    files = {file.name: file for file in read_manifest(final).files}
    assert set(files) == {"artifacts/trace.fst", "tables/metrics.parquet"}
    assert files["artifacts/trace.fst"].size_bytes == 3
    assert files["artifacts/trace.fst"].sha256.startswith("ba7816bf")
    assert not (final / "work").exists()


def test_a_changed_file_is_noticed(folder):
    """A file that was edited or removed after sealing is named."""
    (folder.artifacts / "a.txt").write_text("as it was")
    (folder.artifacts / "b.txt").write_text("as it was")
    final = seal(folder)
    assert altered(final) == ()
    (final / "artifacts" / "a.txt").write_text("another")
    (final / "artifacts" / "b.txt").unlink()
    assert altered(final) == ("artifacts/a.txt", "artifacts/b.txt")


def test_keep_takes_regular_files_only(folder, tmp_path):
    """A link or a pipe that a hostile tool left is not followed."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder.work / "link").symlink_to(secret)
    os.mkfifo(folder.work / "pipe")
    (folder.work / "file").write_text("fine")
    assert folder.keep(folder.work / "file", "waves/file") == "waves/file"
    assert (folder.artifacts / "waves" / "file").read_text() == "fine"
    for name in ("link", "pipe", "nothing"):
        with pytest.raises(OSError):
            folder.keep(folder.work / name, name)


def test_unknown_tables_are_refused(folder):
    """Only declared tables and types can be written."""
    with pytest.raises(KeyError):
        folder.table("nonsense", [])
    with pytest.raises(KeyError, match="colour"):
        folder.table("metrics", [{"name": "errors", "value": 1.0, "colour": "red"}])


def test_a_changed_verdict_is_noticed(tmp_path):
    """A manifest that says something else than the sealed result was changed."""
    folder = RunFolder.create(tmp_path / "lint.tmp")
    folder.write_json("result.json", '{"verdict": "failed"}')
    sealed = folder.seal("lint", State.DONE, Verdict.FAILED, "", "2026-01-15T10:30:00Z", 1.0)
    assert altered(sealed) == ()
    manifest = sealed / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace('"verdict": "failed"', '"verdict": "passed"'))
    assert altered(sealed) == ("manifest.json",)
