"""`openforge interface suggest`: shown, as JSON, and written into the project file."""

import json
import shutil

import pytest
from interface_designs import FOLDER
from typer.testing import CliRunner

from openforge import config, interface_yaml
from openforge.cli import app
from openforge.errors import DesignError, InterfaceError, OpenForgeError

YAML = """\
# A project with a style of its own
project: {name:  p,   top_module: core}   # spaces stay
design:
    sources:
    - "*.sv"
verification:
    crypto_verification:
        interface:
            secrets: [ key ]   # the key
            done: {signal: done}

        constant_time: {depth: 0x20}
# the end
"""


@pytest.fixture
def project(tmp_path):
    """A project of the design `core`."""
    root = tmp_path / "a project"
    root.mkdir()
    shutil.copy(FOLDER / "core.sv", root)
    (root / "openforge.yaml").write_text(YAML)
    return root


def suggest(*words):
    result = CliRunner().invoke(app, ["interface", "suggest", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_it_is_shown_with_reasons(project):
    """A table, the block that would be written, and the file stays as it is."""
    shown = " ".join(suggest(project).split())
    assert "done {signal: done} given" in shown
    assert "clock clk inferred it clocks every register" in shown
    assert "What `--write` adds to openforge.yaml: verification: crypto_verification:" in shown
    assert "observables: [word_addr, status, in_ready, done, strange]" in shown
    assert (project / "openforge.yaml").read_text() == YAML


def test_it_is_written_once(project):
    """Inferred fields are added; comments, order, style and mode stay; twice is once."""
    path = project / "openforge.yaml"
    path.chmod(0o640)
    assert "clock, reset, public, start, observables" in suggest(project, "--write")
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    added = [line for line in text.splitlines() if line not in YAML.splitlines()]
    assert [line.split(":")[0] for line in added] == [
        " " * 12 + name for name in ("clock", "reset", "public", "start", "observables")
    ]
    assert [line for line in text.splitlines() if line not in added] == YAML.splitlines()
    assert list(project.iterdir()).__len__() == 2
    read = config.load(project).verification.crypto_verification
    assert read.interface.secrets == ("key",)
    assert read.interface.start.signal == "start"
    before = path.stat()
    assert "nothing: it is all there" in suggest(project, "--write")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_secrets_are_hinted_and_never_written(project):
    """Without secrets there are candidates; the list of public inputs waits for the choice."""
    path = project / "openforge.yaml"
    path.write_text(YAML.replace("secrets: [ key ]   # the key", "clock: clk"))
    shown = suggest(project)
    assert "No secrets are named" in shown
    assert "these may be: key" in shown
    assert "# secrets: [key" in shown
    answer = json.loads(suggest(project, "--json", "--write"))
    assert answer["secret_candidates"] == ["key", "share0", "share1"]
    assert answer["written"] == ["reset", "start", "observables"]
    assert "secrets" not in path.read_text()
    assert "public" not in path.read_text()


def test_json_has_it_all(project):
    """The interface as a record, as a section, and what would be added."""
    answer = json.loads(suggest(project, "--json"))
    assert answer["interface"]["clock"] == "clk"
    assert answer["section"]["secrets"] == ["key"]
    assert answer["suggested"]["start"] == {"signal": "start"}
    assert (answer["written"], answer["secret_candidates"]) == ([], [])


def test_short_fields_count(project):
    """Secrets of the check constant_time are those of the interface."""
    text = YAML.replace("            secrets: [ key ]   # the key\n", "")
    text = text.replace("depth: 0x20", "secrets: [data], public: [key]")
    (project / "openforge.yaml").write_text(text)
    assert json.loads(suggest(project, "--json", "--write"))["section"]["secrets"] == ["data"]
    read = config.load(project).verification.crypto_verification
    assert (read.interface.secrets, read.interface.public) == ((), ())


def test_a_link_is_followed(project):
    """A project file that is a link stays one."""
    path = project / "openforge.yaml"
    path.rename(project / "other.yaml")
    path.symlink_to("other.yaml")
    suggest(project, "--write")
    assert path.is_symlink()
    assert "start: {signal: start}" in (project / "other.yaml").read_text()


def test_a_file_that_would_change_its_meaning_is_kept(project, monkeypatch):
    """What is written is read again, and must say the same."""
    path = project / "openforge.yaml"
    monkeypatch.setattr(interface_yaml, "added", lambda text, _: text.replace("key", "data"))
    with pytest.raises(InterfaceError, match="add by hand"):
        suggest(project, "--write")
    assert path.read_text() == YAML
    monkeypatch.undo()
    monkeypatch.setattr(interface_yaml, "_data", lambda _: None)
    monkeypatch.setattr(interface_yaml, "_with", lambda *_: None)
    monkeypatch.setattr(interface_yaml, "missing", lambda *_: {"start": {"signal": "we"}})
    with pytest.raises(InterfaceError, match="add by hand"):
        suggest(project, "--write")
    assert path.read_text() == YAML
    assert len(list(project.iterdir())) == 2


def test_faults_are_errors(project):
    """A name that is not there, a design that cannot be clocked."""
    path = project / "openforge.yaml"
    path.write_text(YAML.replace("[ key ]", "[ kee ]"))
    with pytest.raises(OpenForgeError, match="interface.secrets: .*'kee'; did you mean key"):
        suggest(project)
    shutil.copy(FOLDER / "clocking.sv", project)
    path.write_text("project: {name: p, top_module: bad_latch}\ndesign: {sources: ['*.sv']}\n")
    with pytest.raises(DesignError, match="latches"):
        suggest(project)
