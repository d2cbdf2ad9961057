"""The tar of a project that is uploaded: regular files only, the same each time."""

import io
import tarfile

import pytest

from openforge import bundle
from openforge.errors import OpenForgeError


def packed(root):
    """The members of the tar of `root`, by name."""
    out = io.BytesIO()
    names = bundle.pack(root, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        assert all(member.isreg() for member in archive)
        found = {member.name: archive.extractfile(member).read() for member in archive}
    assert tuple(found) == names
    return found


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "project"
    (path / "rtl" / "empty").mkdir(parents=True)
    (path / "openforge.yaml").write_text("project: {}\n")
    (path / "rtl" / "a ä.sv").write_text("module a; endmodule\n")
    return path


def test_links_become_what_they_lead_to(root):
    """Links to files and to folders are resolved; one to nothing is left out, as are folders."""
    (root / "b.sv").symlink_to("rtl/a ä.sv")
    (root / "tb").symlink_to("rtl", target_is_directory=True)
    (root / "gone.sv").symlink_to("rtl/nothing.sv")
    (root / "itself").symlink_to("itself")
    source = (root / "rtl" / "a ä.sv").read_bytes()
    assert packed(root) == {
        "b.sv": source,
        "openforge.yaml": b"project: {}\n",
        "rtl/a ä.sv": source,
        "tb/a ä.sv": source,
    }


def test_the_same_files_are_the_same_bytes(root):
    """Times and modes of files do not show."""
    first, second = io.BytesIO(), io.BytesIO()
    bundle.pack(root, first)
    (root / "openforge.yaml").touch()
    (root / "openforge.yaml").chmod(0o755)
    bundle.pack(root, second)
    assert first.getvalue() == second.getvalue()


@pytest.mark.parametrize("target", ["..", ".", "../rtl/empty/../../rtl"])
def test_a_loop_is_an_error(root, target):
    """A link to a folder that it is in cannot be resolved: the error names it."""
    (root / "rtl" / "loop").symlink_to(target, target_is_directory=True)
    with pytest.raises(OpenForgeError, match="loop is a link to a folder that it is in"):
        packed(root)


def test_two_links_that_make_a_loop(root):
    """A loop through two links is found, too."""
    (root / "tb").mkdir()
    (root / "tb" / "x").symlink_to("../rtl", target_is_directory=True)
    (root / "rtl" / "y").symlink_to("../tb", target_is_directory=True)
    with pytest.raises(OpenForgeError, match="link to a folder that it is in"):
        packed(root)


def test_links_do_not_multiply_a_project(root, monkeypatch):
    """What links make of a project is limited like a project."""
    monkeypatch.setattr(bundle, "MAX_FILES", 5)
    for number in range(4):
        (root / f"link{number}").symlink_to("rtl", target_is_directory=True)
    with pytest.raises(OpenForgeError, match="links resolved"):
        packed(root)
