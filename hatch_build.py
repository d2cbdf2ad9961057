"""Builds the compiled part with the package: the C sources, once for each level of processors.

Without a C compiler the package is built without it, and numpy does its work.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wno-psabi")
_X86 = {
    1: ("-march=x86-64",),
    3: ("-march=x86-64-v3",),
    4: (
        "-march=x86-64-v4",
        "-mtune=icelake-server",
        "-mavx512vnni",
        "-mavx512vpopcntdq",
        "-mavx512vbmi",
    ),
}
_OTHER: dict[int, tuple[str, ...]] = {1: ()}


class NativeBuild(BuildHookInterface):
    """Compiles ``openforge/native/*.c`` to shared libraries beside them."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the wheel (or the editable install) is made."""
        del version
        if self.target_name != "wheel":
            return
        folder = Path(self.root, "openforge", "native")
        built = [library for library in _compile(folder) if library.is_file()]
        if not built:
            self.app.display_warning(
                "nothing could be compiled: numpy does the work of the compiled part"
            )
            return
        build_data["pure_python"] = False
        build_data["tag"] = (
            f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        )
        build_data["artifacts"] += [f"/openforge/native/{library.name}" for library in built]


def _compile(folder: Path) -> list[Path]:
    """The libraries, built by as many compilers as there are levels."""
    for stale in folder.glob("_native_v*"):
        stale.unlink()
    given = shlex.split(os.environ.get("CC", "")) or ["cc"]
    compiler = next((c for c in (given, ["gcc"], ["clang"]) if shutil.which(c[0])), None)
    if compiler is None:
        return []
    sources = sorted(str(path) for path in folder.glob("*.c"))
    levels = _X86 if platform.machine() in ("x86_64", "AMD64") else _OTHER
    running = []
    for level, flags in levels.items():
        target = folder / f"_native_v{level}.so"
        part = target.with_suffix(".part")
        command = [*compiler, *_FLAGS, *flags, *sources, "-o", str(part), "-lm"]
        running.append((target, part, subprocess.Popen(command)))
    for target, part, process in running:
        if process.wait() == 0:
            part.replace(target)
    return [target for target, _, _ in running]
