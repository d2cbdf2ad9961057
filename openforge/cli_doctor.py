"""`openforge doctor`: what is here, which version, what it is for, how to get the rest."""

from __future__ import annotations

import os
import platform
import re

from find_libpython import find_libpython
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from openforge import __version__, runner
from openforge.settings import Settings
from openforge.tools import sandbox
from openforge.tools.locate import TOOLS


def show() -> bool:
    """Print the state of this installation; returns whether everything required is there."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "tool", "version", "for", "get it with"):
        table.add_column(heading, overflow="fold")
    complete = True
    for tool in TOOLS:
        version = tool.version()
        complete = complete and bool(version or tool.optional)
        missing = "[dim]-[/] missing" if tool.optional else "[red]✗ missing[/]"
        table.add_row(
            "[green]✓[/]" if version else "",
            tool.name,
            escape(_number(version)) if version else missing,
            tool.purpose,
            "" if version else escape(tool.get),
        )
    libpython = find_libpython()
    complete = complete and bool(libpython)
    table.add_row(
        "[green]✓[/]" if libpython else "",
        "libpython",
        "found" if libpython else "[red]✗ missing[/]",
        "Python testbenches",
        "" if libpython else "a Python built with --enable-shared",
    )
    console.print(table)
    settings = Settings()
    console.print(f"\nopenforge  {__version__} on Python {platform.python_version()}")
    console.print(f"sandbox    {sandbox.describe()}")
    console.print(f"kernels    {runner.kernel_kind()}")
    console.print(f"cores      {len(os.sched_getaffinity(0))}")
    console.print(f"workspace  {escape(str(settings.workspace))}", soft_wrap=True)
    console.print(f"cache      {escape(str(settings.cache))}", soft_wrap=True)
    return complete


def _number(version: str) -> str:
    """The version in what a program says of itself; the whole text where there is none."""
    found = re.findall(r"\d+(?:\.\w+)+", version)
    return str(found[-1]) if found else version
