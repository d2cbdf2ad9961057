"""When tools run in a sandbox, and what is said when they do not."""

import pytest

from openforge.errors import OpenForgeError, SandboxUnavailable
from openforge.tools import sandbox


def test_required_but_missing_is_an_error(monkeypatch, tmp_path):
    """With OPENFORGE_SANDBOX=required nothing runs without a sandbox."""
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: None)
    monkeypatch.setenv("OPENFORGE_SANDBOX", "required")
    with pytest.raises(SandboxUnavailable, match="install the package 'bubblewrap'"):
        sandbox.wrap(["true"], cwd=tmp_path)


def test_missing_is_a_visible_warning(monkeypatch, tmp_path):
    """Without bubblewrap a run goes on, and says so."""
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: None)
    assert "WITHOUT a sandbox" in str(sandbox.warning())
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: None)
    assert sandbox.describe() == "none (no bubblewrap)"
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: "/usr/bin/bwrap")
    assert sandbox.describe() == "none (bubblewrap cannot make namespaces here)"
    assert sandbox.wrap(["true"], cwd=tmp_path) == ["true"]


def test_switched_off_is_said(monkeypatch):
    """A sandbox that was switched off is reported as such."""
    monkeypatch.setenv("OPENFORGE_SANDBOX", "off")
    assert sandbox.describe() == "none (switched off)"
    assert sandbox.warning()


def test_unknown_mode_is_refused(monkeypatch):
    """A typing error in OPENFORGE_SANDBOX does not switch the sandbox off."""
    monkeypatch.setenv("OPENFORGE_SANDBOX", "requierd")
    with pytest.raises(OpenForgeError, match="auto, required, off"):
        sandbox.describe()
