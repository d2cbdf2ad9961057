"""Globs that stay inside the project, and waiver files."""

import os
import unicodedata

import pytest

from openforge import waivers
from openforge.config import resolve_globs
from openforge.errors import ConfigError


@pytest.fixture
def project(tmp_path):
    """A project with awkward names, links and things that are no files."""
    root = tmp_path / "ein prüf ling"
    for name in (
        "rtl/b.v",
        "rtl/a.v",
        "rtl/sub/x y.v",
        "rtl/old [1].v",
        "rtl [2]/c.v",
        "rtl/ü.sv",
        ".hidden/h.v",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "o.vh").write_text("")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "rtl" / "same.vv").symlink_to("a.v")
    (root / "rtl" / "loop").symlink_to(".")
    (root / "rtl" / "folder.v").mkdir()
    os.mkfifo(root / "rtl" / "pipe.v")
    return root


def names(project, patterns, **more):
    """What `patterns` resolve to, relative to the project."""
    found = resolve_globs(project, patterns, field="design.sources", **more)
    assert all(path.is_absolute() for path in found)
    return [path.relative_to(project).as_posix() for path in found]


def test_order_is_that_of_patterns_then_names(project):
    """Patterns keep their order, files in one are sorted, and none is there twice."""
    assert names(project, ["rtl/b.v", "rtl/?.v", "rtl/same.vv"]) == ["rtl/b.v", "rtl/a.v"]


def test_any_depth_without_hidden_files_or_loops(project):
    """`**` goes through folders, not through links or hidden ones; only files count."""
    found = ["rtl/a.v", "rtl/b.v", "rtl/old [1].v", "rtl/sub/x y.v", "rtl [2]/c.v"]
    assert names(project, ["**/*.v"]) == found
    assert names(project, [".hidden/*.v"]) == [".hidden/h.v"]
    assert names(project, ["rtl/sub/**"]) == ["rtl/sub/x y.v"]


def test_brackets_spaces_and_unicode(project):
    """A name that exists as written means that file; other brackets are a choice of letters."""
    assert names(project, ["rtl/old [1].v"]) == ["rtl/old [1].v"]
    assert names(project, ["rtl [2]/*.v"]) == ["rtl [2]/c.v"]
    assert names(project, ["rtl/[ab].v"]) == ["rtl/a.v", "rtl/b.v"]
    assert names(project, [unicodedata.normalize("NFD", "rtl/ü.sv")]) == ["rtl/ü.sv"]


def test_file_named_like_a_wildcard_hides_nothing(project):
    """A file called `*.v` does not take the place of all the others."""
    (project / "rtl" / "*.v").write_text("")
    assert {"rtl/*.v", "rtl/a.v", "rtl/b.v"} <= set(names(project, ["rtl/*.v"]))


def test_exclude(project):
    """Excluded files are left out; an exclude may match nothing, but must leave something."""
    assert names(project, ["rtl/?.v"], exclude=["rtl/b.v", "none/*"]) == ["rtl/a.v"]
    with pytest.raises(ConfigError, match="nothing is left"):
        names(project, ["rtl/?.v"], exclude=["rtl/*"])


def test_no_patterns_are_no_files(project):
    """An empty list, the default of optional fields, is no error."""
    assert names(project, []) == []


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("/etc/passwd", "leaves the project"),
        ("../outside/o.vh", "leaves the project"),
        ("rtl/../../outside/*", "leaves the project"),
        ("out/o.vh", "through a link"),
        ("out/*", "through a link"),
        ("*/*.vh", "through a link"),
        ("", "is not a pattern"),
        ("a\0", "is not a pattern"),
        ("x" * 5000, "is not a pattern"),
        ("x" * 300, "longer than a file's"),
        ("**x", "must be a whole part"),
        ("**/a/**/a/**/a/**/a/**/a", "more than 4 times"),
        (".", "is a folder"),
        ("rtl/folder.v", "is a folder; did you mean rtl/folder.v/*?"),
        ("rtl/pipe.v", "matches no file"),
        ("nope/*.v", "matches no file"),
        ("rtl/*.vhd", "matches no file; did you mean rtl/*.v?"),
        ("rtl/aa.v", "matches no file; did you mean rtl/a.v?"),
    ],
)
def test_patterns_that_are_refused(project, pattern, message):
    """Each bad pattern says what is wrong with it and where it was written."""
    with pytest.raises(ConfigError) as caught:
        names(project, [pattern])
    assert message in str(caught.value)
    assert caught.value.problems[0].field == "design.sources"


def test_all_bad_patterns_at_once(project):
    """Every pattern at fault is a problem of its own."""
    with pytest.raises(ConfigError) as caught:
        names(project, ["rtl/a.v", "none1", "/x", "none2"])
    assert len(caught.value.problems) == 3


def test_name_with_a_line_break(project):
    """A file whose name could break a tool's script is refused, not passed on."""
    (project / "rtl" / "evil\nread_verilog x.svh").write_text("")
    with pytest.raises(ConfigError, match="name tools cannot take"):
        names(project, ["rtl/*.svh"])


def test_waivers(tmp_path):
    """A waiver file is a list, or a mapping with `waivers`; both mean the same."""
    one = tmp_path / "a.yaml"
    one.write_text("- {rule: UNUSED*, file: rtl/*.v, reason: kept for debug}\n")
    two = tmp_path / "b.yaml"
    two.write_text("waivers: [{message: '*prod*', reason: known}]\n")
    first, second = waivers.load([one, two])
    assert (first.rule, first.reason) == ("UNUSED*", "kept for debug")
    assert second.message == "*prod*"


@pytest.mark.parametrize(
    "text",
    [
        "- {rule: A}",
        "- {reason: r}",
        "- {rule: A, reason: r, x: 1}",
        "- {rule: A, reason: ''}",
        "- {rule: A, reason: ' '}",
        "- {rule: A, line: true, reason: r}",
        "{a: 1, waivers: []}",
        "- 3",
        "3",
        "- {rule: A, rule: B, reason: r}",
        "!x []",
    ],
)
def test_waivers_that_are_refused(tmp_path, text):
    """A waiver without a reason, without a subject, or with an unknown field is an error."""
    path = tmp_path / "w.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"^w\.yaml:1:\d+: ") as caught:
        waivers.load([path])
    assert "openforge.yaml" not in str(caught.value)
