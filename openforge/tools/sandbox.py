"""The sandbox that every external program runs in: bubblewrap, where it can be had.

Inside: no network, no host processes, a private /tmp, the system and Python read-only, the paths
that the caller names readable or writable, and nothing else of the host's file system at all.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from openforge.errors import SandboxUnavailable
from openforge.settings import SandboxMode, Settings
from openforge.tools.system import first_line

_PATH = "/usr/bin:/bin:/usr/local/bin"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime")


@functools.cache
def _bubblewrap() -> str | None:
    """The path of a bubblewrap that works here (user namespaces may be switched off)."""
    program = shutil.which("bwrap", path=_PATH)
    if program is None:
        return None
    probe = [program, "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    trial = subprocess.run([*probe, "/bin/true"], capture_output=True, check=False)
    return program if trial.returncode == 0 else None


def _program() -> str | None:
    mode = Settings().sandbox
    if mode is SandboxMode.OFF:
        return None
    program = _bubblewrap()
    if program is None and mode is SandboxMode.REQUIRED:
        raise SandboxUnavailable(
            "OPENFORGE_SANDBOX=required, but bubblewrap does not work here; install the package "
            "'bubblewrap' and allow user namespaces, or set OPENFORGE_SANDBOX=auto"
        )
    return program


def describe() -> str:
    """What tools are run in: "bubblewrap 0.8.0", or "none" with the reason."""
    program = _program()
    if program:
        return first_line(Path(program))
    if Settings().sandbox is SandboxMode.OFF:
        return "none (switched off)"
    there = shutil.which("bwrap", path=_PATH)
    return "none (bubblewrap cannot make namespaces here)" if there else "none (no bubblewrap)"


def warning() -> str | None:
    """A sentence for the user when tools run without a sandbox, else None."""
    if _program():
        return None
    return (
        "tools run WITHOUT a sandbox: only verify designs you trust. Install 'bubblewrap', or set "
        "OPENFORGE_SANDBOX=required to refuse"
    )


@functools.cache
def _python_paths() -> tuple[Path, ...]:
    """Everything of Python that a tool needs: interpreter, libraries, installed packages."""
    package = Path(__file__).resolve().parent.parent
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values())
    names = (*map(Path, prefixes), package)
    paths = {name.resolve() for name in names if name.exists()}
    outer = (p for p in paths if not any(p != q and p.is_relative_to(q) for q in paths))
    return tuple(sorted(p for p in outer if not p.is_relative_to("/usr")))


def wrap(
    argv: list[str], *, cwd: Path, readable: Iterable[Path] = (), writable: Iterable[Path] = ()
) -> list[str]:
    """`argv` as it must be started so that it runs in the sandbox (unchanged where there is none).

    Raises SandboxUnavailable when a sandbox is required and cannot be had.
    """
    program = _program()
    if program is None:
        return argv
    wrapped = [program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for name in _SYSTEM:
        if os.path.islink(name):
            wrapped += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            wrapped += ["--ro-bind", name, name]
    wrapped += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]  # noqa: S108  (inside)
    for name in _ETC:
        wrapped += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for path in (*_python_paths(), *readable):
        wrapped += ["--ro-bind", str(path), str(path)]
    for path in writable:
        wrapped += ["--bind", str(path), str(path)]
    return [*wrapped, "--chdir", str(cwd), "--", *argv]
