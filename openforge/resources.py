"""Where the files that ship with OpenForge are: notebooks, templates, examples.

In a checkout they stand beside the package; in an installed wheel they are inside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The absolute path of the shipped folder `name` ("notebooks", "templates", "examples").

    Raises FileNotFoundError when the installation is incomplete.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"OpenForge's '{name}' folder is missing; reinstall openforge")
