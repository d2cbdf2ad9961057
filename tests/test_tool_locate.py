"""Where tools are found."""

import pytest

from openforge.errors import ToolMissing
from openforge.tools import locate


def test_every_required_tool_is_found_with_a_version():
    """An installation has all that its checks need, from the wheels."""
    for tool in locate.TOOLS:
        if not tool.optional:
            path = tool.path()
            assert path is not None, tool.name
            assert path.exists()
            assert tool.version()


def test_a_program_on_path_is_not_taken(monkeypatch, tmp_path):
    """Another Verilator that comes first on PATH is never the one that runs."""
    fake = tmp_path / "verilator_bin"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate.program("verilator") != fake
    assert locate.program("c++").is_relative_to("/usr")


def test_missing_tool_says_how_to_get_it(monkeypatch):
    """A missing tool names the command that installs it."""
    missing = locate.Tool("nosuch", "testing", "pip install nosuch", "bin/nosuch", "nosuch-wheel")
    monkeypatch.setattr(locate, "TOOLS", (*locate.TOOLS, missing))
    assert missing.version() is None
    with pytest.raises(ToolMissing, match="pip install nosuch"):
        locate.require(["slang", "nosuch"])
