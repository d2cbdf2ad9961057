"""OpenForge: verification of cryptographic hardware, each verdict an executed notebook.

In a notebook: ``openforge.start("lint", "examples/fifo")`` runs a check, ``openforge.sql(...)``
asks the results of all runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openforge import display
    from openforge.checks import start
    from openforge.results import sql

__all__ = ["__version__", "display", "sql", "start"]
__version__ = "0.1.0"

_LAZY = {"start": "openforge.checks", "sql": "openforge.results"}


def __getattr__(name: str) -> Any:
    """Import on first use: `import openforge` itself stays quick."""
    if name == "display":
        return import_module("openforge.display")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'openforge' has no attribute '{name}'")
