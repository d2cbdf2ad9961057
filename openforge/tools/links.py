"""A project's files under their own relative paths in the folder that a tool runs in.

RTL names files that are read at run time, as in ``$readmemh("rtl/rom.hex")``, relative to the
current folder. A tool runs in a folder of its own; links make the project's files visible there.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def show(project: Path, folder: Path, *, without: Collection[str] = ()) -> None:
    """Put a link to each visible top-level entry of `project` into `folder`.

    Entries that `folder` already has stay as they are; those in `without` are left out, such as
    the names of files that the tool will write.
    """
    for entry in project.iterdir():
        link = folder / entry.name
        hidden = entry.name.startswith(".") or entry.name in without
        if not hidden and not link.exists() and not link.is_symlink():
            link.symlink_to(entry)
