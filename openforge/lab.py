"""JupyterLab on the notebooks and the runs of a workspace."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from openforge import resources
from openforge.workspace import Workspace


def start(workspace: Workspace, options: Sequence[str] = ()) -> NoReturn:
    """Become JupyterLab on loopback in the workspace, with the notebooks beside the runs.

    Notebooks that the user has changed are left as they are. `options` go to JupyterLab as they
    are.
    """
    workspace.runs.mkdir(parents=True, exist_ok=True)
    place(workspace.path / "notebooks")
    place_examples(workspace.path / "examples")
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={workspace.path}",
        "--ServerApp.ip=127.0.0.1",
        "--LabApp.default_url=/lab/tree/notebooks",
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(["--allow-root"] if os.geteuid() == 0 else []),  # in a container; it has a token
        *options,
    ]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606  (no shell is what is wanted)


def place(target: Path) -> None:
    """Copy the shipped notebooks that are not in `target` yet."""
    _copy_missing(resources.folder("notebooks"), target)


def place_examples(target: Path) -> None:
    """Copy the shipped examples that are not in `target` yet; notebooks refer to them."""
    _copy_missing(resources.folder("examples"), target)


def _copy_missing(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        hidden = any(p.startswith((".", "__pycache__")) for p in path.relative_to(source).parts)
        if path.is_file() and not copy.exists() and not hidden:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
