"""Yosys, of the pyosys wheel: scripts in the sandbox, and how to make it read any design."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openforge.errors import DesignError, ToolError, ToolTimeout
from openforge.model import Location
from openforge.tools import process
from openforge.tools import yosys_drivers as drivers
from openforge.tools.process import Completed, Limits, Outcome

SHIM = Path(__file__).with_name("yosys_shim.py")
LIMITS = Limits(timeout_s=300, memory_bytes=6 << 30)
_RAW = "raw.json"  # the design as it was read, before anything is optimised
_PROCESSES = "processes.il"
_PROMISE = re.compile(r"^ +attribute \\(?:full_case|parallel_case) \S+\n", re.MULTILINE)
_SOURCE = re.compile(rb'^ *attribute \\src "[^\n]*', re.MULTILINE)
_OCTAL = re.compile(rb"\\(?:([23][0-7]{2})|.)")
_DOLLAR = "OPENFORGE_DOLLAR"  # slang replaces ${NAME} in command files and has no escape for it
_SRC = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?:\.(?P<column>\d+))?")
_ESCAPED = re.compile(rb"(?:\\uFFFFFF[0-9A-F]{2})+")


@dataclass(frozen=True)
class Reading:
    """What a front end shall read, with the parameters of `top`."""

    top: str
    sources: Sequence[Path]
    includes: Sequence[Path] = ()
    defines: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    keep_hierarchy: bool = False


def run_script(
    script: str,
    *,
    cwd: Path,
    log: Path,
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    limits: Limits = LIMITS,
) -> Completed:
    """Run a Yosys script (one command a line) in the folder `cwd`.

    Raises ToolError with the first errors that Yosys says and their place, ToolTimeout.
    """
    file = cwd / f"{log.stem}.ys"
    file.write_text(script.rstrip("\n") + "\n", encoding="utf-8")
    lines: list[str] = []
    done = process.run(
        [sys.executable, "-s", SHIM, "-s", file.name],
        cwd=cwd,
        log=log,
        limits=limits,
        readable=readable,
        writable=writable,
        env={_DOLLAR: "$"},
        on_line=lambda line: _keep_errors(line, lines),
    )
    if done.ok:
        return done
    if done.outcome is Outcome.TIMEOUT:
        raise ToolTimeout(f"Yosys did not end within {limits.timeout_s:.0f} s", log)
    if done.outcome is not Outcome.EXITED:
        raise ToolError(f"Yosys was ended: {done.outcome.value} (code {done.returncode})", log)
    said = "\n".join(lines[:5]) or "\n".join(done.tail[-5:])
    raise ToolError(f"Yosys failed (code {done.returncode})\n{said}", log)


def _keep_errors(line: str, lines: list[str]) -> None:
    if re.search(r"\berror:|ERROR:", line) and "Bad command" not in line:
        lines.append(line)


def read_slang(reading: Reading, work: Path) -> str:
    """The command that reads a design with slang.

    Its words are in a file in `work`: slang understands quotes there, Yosys' command line has none.
    The text is what simulators see: no macro of Yosys' own, no comment that hides what follows.
    """
    words = ["--single-unit", "--allow-dup-initial-drivers", f"--top {_quoted(reading.top)}"]
    words += ["--no-default-translate-off-format", "--no-synthesis-define"]
    words += ["--best-effort-hierarchy"] if reading.keep_hierarchy else []
    words += [f"-I {_quoted(folder)}" for folder in reading.includes]
    words += [f"-D {_quoted(f'{name}={value}')}" for name, value in reading.defines.items()]
    words += [f"-G {_quoted(f'{name}={value}')}" for name, value in reading.parameters.items()]
    words += [_quoted(path) for path in reading.sources]
    (work / "read_slang.f").write_text("\n".join(words) + "\n", encoding="utf-8")
    return "read_slang -f read_slang.f"


def _quoted(word: object) -> str:
    """`word` for a command file of slang."""
    text = str(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", f"${{{_DOLLAR}}}")
    return f'"{text}"'


def run_on(
    reading: Reading, commands: str, *, cwd: Path, project: Path, limits: Limits = LIMITS
) -> None:
    """Run `commands` on a design in `project`.

    slang is the only front end. Yosys' own ``read_verilog`` takes some designs that slang refuses,
    but gives them a meaning of its own: it drops delays, defines macros, obeys comments.

    Raises DesignError with what slang said or for a net with several drivers, ToolTimeout.
    """
    scripts = {
        "read": f"{read_slang(reading, cwd)} --no-proc\nhierarchy -check -top {reading.top}\n"
        f"write_rtlil {_PROCESSES}",
        "yosys": f"read_rtlil {_PROCESSES}\nproc -noopt\nwrite_json {_RAW}\n{commands}",
    }
    for name, script in scripts.items():
        try:
            run_script(
                script,
                cwd=cwd,
                log=cwd / f"{name}.log",
                readable=[project],
                writable=[cwd],
                limits=limits,
            )
        except ToolTimeout:
            raise
        except ToolError as error:
            raise DesignError(f"Yosys cannot read the design: {error}") from error
        if name == "read":
            _drop_promises(cwd / _PROCESSES)
    _refuse_conflicts(cwd, project)


def _drop_promises(file: Path) -> None:
    """Take out what is promised of case statements, by ``unique`` or by attributes.

    Yosys leaves open what happens when a promise is broken: what it chooses is not what simulators
    do, which take the first item that matches.
    """
    file.write_text(_PROMISE.sub("", rtlil(file)), encoding="utf-8")


def rtlil(file: Path) -> str:
    """The text of an RTLIL file, with file names as they are: Yosys 0.70 escapes a byte above 127.

    It does not read those escapes as it writes them.
    """
    text = _SOURCE.sub(lambda line: _OCTAL.sub(_byte, line[0]), file.read_bytes())
    return text.decode("utf-8", "replace")


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)]) if found[1] else found[0]


def _refuse_conflicts(cwd: Path, project: Path) -> None:
    """Raise DesignError for nets with several drivers; Yosys warns of them and goes on."""
    tree = json.loads(relative_json((cwd / _RAW).read_bytes(), cwd=cwd, project=project))
    found = [pair for module in tree["modules"].values() for pair in drivers.conflicts(module)]
    if found:
        lines = (
            f"{located(src, cwd=project, project=project) or '?'}: '{name}'" for name, src in found
        )
        raise DesignError(
            "nets with several drivers, whose value no proof and no netlist can know:\n"
            + "\n".join(itertools.islice(lines, 5))
        )


def relative_json(text: bytes, *, cwd: Path, project: Path) -> bytes:
    """What ``write_json`` wrote in `cwd`, with ``src`` attributes that are relative to `project`.

    Yosys 0.70 writes a byte above 127 as ``uFFFFFFxx`` behind a backslash; that is put right, too.
    """
    text = _ESCAPED.sub(_unescape, text)
    for prefix in {os.path.relpath(project, cwd), str(project)} - {"."}:
        start = json.dumps(prefix + "/", ensure_ascii=False)[1:-1].encode()
        for before in (b'"', b"|"):
            text = text.replace(before + start, before)
    return text


def _unescape(found: re.Match[bytes]) -> bytes:
    raw = bytes.fromhex(found[0].replace(b"\\uFFFFFF", b"").decode("ascii"))
    return raw.decode("utf-8", "replace").encode()


def located(src: str, *, cwd: Path, project: Path) -> Location | None:
    """The place that a ``src`` attribute names first, relative to `project`; None if outside.

    `cwd` is what the attribute's path is relative to: where Yosys ran, or `project` after
    `relative_json`.
    """
    found = _SRC.match(src.split("|", 1)[0])
    if not found:
        return None
    path = Path(cwd, found["file"]).resolve()
    if not path.is_relative_to(project):
        return None
    column = int(found["column"]) if found["column"] else None
    name = path.relative_to(project).as_posix()
    return Location(file=name, line=int(found["line"]), column=column)
