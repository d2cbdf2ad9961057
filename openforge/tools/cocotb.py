"""cocotb: what a simulator must be told to run Python tests, and what the tests left behind."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from openforge.errors import ToolError, ToolMissing
from openforge.model import Location

INSIDE = Path(__file__).resolve().parent / "inside"
_DISCOVERY = "openforge_discovery"
_MAX_BYTES = 32 << 20
_FRAME = re.compile(r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+)', re.MULTILINE)


class Status(StrEnum):
    """How one test ended, as cocotb tells it."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class TestName:
    """A test that a module offers. `module` is where it is defined (it may be imported)."""

    __test__ = False  # not a test class of pytest

    module: str
    name: str
    skip: bool = False
    stage: int = 0

    @property
    def full(self) -> str:
        """The name that cocotb's filter sees."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class TestCase:
    """One entry of cocotb's ``results.xml``."""

    __test__ = False

    module: str
    name: str
    status: Status
    duration_s: float
    sim_time_ns: float | None
    message: str = ""
    kind: str = ""
    traceback: str = ""


@cache
def _libpython() -> str:
    import find_libpython

    found = find_libpython.find_libpython()
    if found is None:
        raise ToolMissing(
            f"cocotb needs Python as a shared library, and {sys.executable} has none; use a Python "
            "built with --enable-shared (the ones of Linux distributions are)"
        )
    return str(found)


def verilator_main() -> Path:
    """The C++ `main` that cocotb has for models made by Verilator."""
    return _config("share_dir") / "lib" / "verilator" / "verilator.cpp"


def link_words() -> list[str]:
    """What the linker needs to put cocotb's VPI library into a model."""
    folder = _config("libs_dir")
    return [f"-Wl,-rpath,{folder}", f"-L{folder}", "-lcocotbvpi_verilator"]


def icarus_module() -> Path:
    """The VPI library that cocotb has for Icarus Verilog."""
    return _config("libs_dir") / "libcocotbvpi_icarus.so"


def _config(name: str) -> Path:
    import cocotb_tools.config

    return Path(getattr(cocotb_tools.config, name))


def _environment(top: str, modules: str, folders: Iterable[Path]) -> dict[str, str]:
    import cocotb_tools.config

    return {
        "GPI_USERS": f"{_libpython()};{cocotb_tools.config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in folders),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "COCOTB_ANSI_OUTPUT": "0",
        "COCOTB_TOPLEVEL": top,
        "COCOTB_TEST_MODULES": modules,
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "GPI_LOG_LEVEL": "WARNING",
        # cocotb sets up pytest's assertion rewriting, which would load every installed plugin
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TOPLEVEL_LANG": "verilog",
    }


def discovery_environment(top: str, module: str, folders: Iterable[Path]) -> dict[str, str]:
    """The environment of a simulation that lists the tests of `module` in ``tests.json``."""
    base = _environment(top, _DISCOVERY, [*folders, INSIDE])
    return {**base, "OPENFORGE_TEST_MODULE": module, "COCOTB_RANDOM_SEED": "1"}


def test_environment(
    top: str, module: str, folders: Iterable[Path], test: TestName, seed: int
) -> dict[str, str]:
    """The environment of a simulation that runs `test` and nothing else."""
    return {
        **_environment(top, module, folders),
        "COCOTB_TEST_FILTER": f"^{re.escape(test.full)}$",
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_RESULTS_FILE": "results.xml",
    }


test_environment.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it


def read_discovery(path: Path) -> tuple[TestName, ...]:
    """The tests listed in ``tests.json``, each once and in cocotb's order.

    Raises ToolError with the module's own traceback when it could not be imported.
    """
    try:
        answer = json.loads(_read(path))
        if "error" in answer:
            raise ToolError(
                f"the test module cannot be imported: {answer['error']}\n"
                f"{answer['traceback']}".rstrip()
            )
        found = [
            TestName(str(t["module"]), str(t["name"]), bool(t["skip"]), int(t["stage"]))
            for t in answer["tests"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"the tests of the module could not be listed: {error}") from None
    unique = {test.full: test for test in found}
    return tuple(sorted(unique.values(), key=lambda test: test.stage))


def read_results(path: Path) -> tuple[TestCase, ...]:
    """The entries of a ``results.xml``. Raises ToolError when it is missing or damaged."""
    try:
        return parse_results(_read(path))
    except OSError as error:
        raise ToolError(f"cocotb left no {path.name}: {error.strerror or error}") from None


def parse_results(text: str) -> tuple[TestCase, ...]:
    """The entries of cocotb's JUnit-style XML. Raises ToolError for anything else."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ToolError("results.xml has a document type, which cocotb never writes")
    try:
        root = ET.fromstring(text)  # noqa: S314  (see above)
        return tuple(_case(element) for element in root.iter("testcase"))
    except (ET.ParseError, ValueError, KeyError) as error:
        raise ToolError(f"results.xml is not what cocotb writes: {error}") from None


def _case(element: ET.Element) -> TestCase:
    properties = {e.get("name"): e.get("value", "") for e in element.iter("property")}
    duration = properties.get("sim_time_duration")
    bad = element.find("failure")
    bad = element.find("error") if bad is None else bad
    skipped = element.find("skipped")
    status = Status.PASSED
    if bad is not None:
        status = Status.FAILED
    elif skipped is not None:
        status = Status.SKIPPED
    told = bad if bad is not None else skipped
    return TestCase(
        module=element.attrib["classname"],
        name=element.attrib["name"],
        status=status,
        duration_s=float(element.get("time", "0")),
        sim_time_ns=float(duration) if duration else None,
        message="" if told is None else told.get("message", ""),
        kind="" if told is None else told.get("type", ""),
        traceback="" if told is None else (told.text or ""),
    )


def failure_place(traceback: str, project: Path) -> Location | None:
    """The innermost line of the user's own files in a Python traceback."""
    frames = [(Path(f["file"]), int(f["line"])) for f in _FRAME.finditer(traceback)]
    own = [(file, line) for file, line in frames if file.is_relative_to(project)]
    if not own:
        return None
    file, line = own[-1]
    return Location(file=file.relative_to(project).as_posix(), line=line)


def _read(path: Path) -> str:
    """The text of a file that a hostile program may have put there. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_BYTES:
            raise OSError(f"{path.name} is not a regular file of reasonable size")
        return file.read(_MAX_BYTES).decode("utf-8", "replace")
