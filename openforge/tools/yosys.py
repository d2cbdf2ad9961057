"""Yosys, of the pyosys wheel: scripts in the sandbox, and how to make it read any design."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openforge import events
from openforge.errors import DesignError, ToolError, ToolTimeout
from openforge.model import Location
from openforge.tools import process
from openforge.tools.process import Completed, Limits, Outcome

SHIM = Path(__file__).with_name("yosys_shim.py")
LIMITS = Limits(timeout_s=300, memory_bytes=6 << 30)
_DOLLAR = "OPENFORGE_DOLLAR"  # slang replaces ${NAME} in command files and has no escape for it
_SRC = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?:\.(?P<column>\d+))?")
_ESCAPED = re.compile(rb"(?:\\uFFFFFF[0-9A-F]{2})+")
_PLAIN = re.compile(r"[^\s\"\\;#]+")


@dataclass(frozen=True)
class Reading:
    """What a front end shall read, with the parameters of `top`."""

    top: str
    sources: Sequence[Path]
    includes: Sequence[Path] = ()
    defines: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    keep_hierarchy: bool = False
    formal: bool = False


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
    """
    words = ["--single-unit", "--allow-dup-initial-drivers", f"--top {_quoted(reading.top)}"]
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


def read_verilog(reading: Reading, work: Path) -> str:
    """The commands that read a design with Yosys' own front end, which knows less of the language.

    Folders are reached through links in `work`: the front end takes no spaces in ``-I``. Raises
    ToolError for a name or a value that it cannot be given.
    """
    words = ["read_verilog", "-sv", *(["-formal"] if reading.formal else [])]
    for number, folder in enumerate((*reading.includes, *{p.parent for p in reading.sources})):
        link = work / f"include{number}"
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
        words.append(f"-I{link.name}")
    words += [f"-D{_plain(f'{name}={value}')}" for name, value in reading.defines.items()]
    for path in reading.sources:
        if any(character in str(path) for character in '"\n\\'):
            raise ToolError(f"Yosys cannot be given the file name {path.name!a}; rename the file")
        words.append(f'"{path}"')
    top = _plain(reading.top)
    sets = [f"chparam -set {_plain(n)} {_plain(v)} {top}" for n, v in reading.parameters.items()]
    return "\n".join([" ".join(words), *sets])


def _plain(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ToolError(f"Yosys' read_verilog cannot be given the value {text!a}")
    return text


FRONTENDS: tuple[tuple[str, Callable[[Reading, Path], str]], ...] = (
    ("read_slang", read_slang),
    ("read_verilog", read_verilog),
)


def run_on(
    reading: Reading,
    commands: str,
    *,
    cwd: Path,
    readable: Iterable[Path],
    limits: Limits = LIMITS,
) -> str:
    """Run `commands` on a design, read by the first front end that takes it; that one's name.

    Raises DesignError with what each front end said, ToolTimeout.
    """
    refused = []
    for name, command in FRONTENDS:
        try:
            run_script(
                f"{command(reading, cwd)}\n{commands}",
                cwd=cwd,
                log=cwd / f"{name}.log",
                readable=readable,
                writable=[cwd],
                limits=limits,
            )
        except ToolTimeout:
            raise
        except ToolError as error:
            refused.append(f"{name}: {error}")
            events.log(f"Yosys' {name} cannot read the design, {error}", "WARNING")
        else:
            if refused:
                events.log(f"Yosys' {name} reads it", "WARNING")
            return name
    raise DesignError("Yosys cannot read the design\n" + "\n".join(refused))


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
