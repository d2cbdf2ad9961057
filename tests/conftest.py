"""What all tests share: a workspace and a cache of their own, and how a missing tool is treated."""

import os

import pytest

from openforge import native
from openforge.tools import sandbox
from openforge.tools.locate import tool


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory, worker_id):
    """One cache of compiled run-time objects for all workers: building them is slow."""
    root = tmp_path_factory.getbasetemp()
    return (root if worker_id == "master" else root.parent) / "cache"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, shared_cache, monkeypatch):
    """No test touches the user's workspace or cache."""
    monkeypatch.setenv("OPENFORGE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("OPENFORGE_CACHE", str(shared_cache))
    monkeypatch.delenv("OPENFORGE_SANDBOX", raising=False)
    monkeypatch.setenv("OPENFORGE_CONFIG", str(tmp_path / "openforge-config"))
    for name in ("OPENFORGE_SERVER", "OPENFORGE_TOKEN", "OPENFORGE_INSECURE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OPENFORGE_RUN_DIR", raising=False)
    monkeypatch.delenv("OPENFORGE_EVENTS", raising=False)


def needs(*names):
    """Skip, visibly, when a tool is missing; where OPENFORGE_NO_SKIP is set that is a failure."""
    missing = [name for name in names if tool(name).path() is None]
    if "bubblewrap" in names and sandbox.warning():
        missing.append("a sandbox that works")
    if missing:
        _skip(f"missing: {', '.join(missing)}")


def needs_compiled():
    """The compiled part; without one skip, visibly, and where OPENFORGE_NO_SKIP is set, fail."""
    library = native.library()
    if library is None:
        _skip("the compiled part is not built here")
    return library


def needs_root(what):
    """Skip, visibly, when this is not run by root; where OPENFORGE_NO_SKIP is set, fail."""
    if os.geteuid() != 0:
        _skip(f"{what} needs root")


def _skip(reason):
    if os.environ.get("OPENFORGE_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)
