"""Files -> Design: what is verified, elaborated by slang and cached by content."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from openforge.config import Config, resolve_globs
from openforge.errors import DesignError
from openforge.model import Finding, Level, Location, Record
from openforge.settings import Settings
from openforge.tools import slang
from openforge.tools.locate import tool

_CACHE_FORMAT = "1"  # count up when what the worker answers changes its meaning
_INCLUDED = {".v", ".vh", ".sv", ".svh", ".h", ".inc", ".mem", ".hex"}
_MAX_SHOWN = 5


class Language(StrEnum):
    """What a source file is written in."""

    VERILOG = "verilog"
    SYSTEMVERILOG = "systemverilog"


class Direction(StrEnum):
    """The direction of a port."""

    INPUT = "input"
    OUTPUT = "output"
    INOUT = "inout"


class PropertyKind(StrEnum):
    """What a property is for."""

    ASSERT = "assert"
    ASSUME = "assume"
    COVER = "cover"


class Source(Record):
    """A source file."""

    path: Path
    language: Language


class Port(Record):
    """A port of the top module; `width` in bits."""

    name: str
    direction: Direction
    width: int
    location: Location | None = None


class Reset(Record):
    """A reset of the design, as a port of the top module."""

    signal: str
    active_low: bool
    asynchronous: bool


class Register(Record):
    """A register; `name` is hierarchical below the top, `width` in bits."""

    name: str
    width: int
    location: Location | None = None


class FsmState(Record):
    """A state and its encoding."""

    name: str
    value: int


class Fsm(Record):
    """A state machine: its states, and the arcs that the source describes.

    `signal` is its register, hierarchical below the top.
    """

    signal: str
    states: tuple[FsmState, ...]
    arcs: tuple[tuple[str, str], ...]
    reset_state: str | None = None
    location: Location | None = None


class Property(Record):
    """An assertion, assumption or cover point. `problem` says why it cannot be used in a proof."""

    name: str
    kind: PropertyKind
    location: Location
    concurrent: bool
    supported: bool
    problem: str = ""


class Design(Record):
    """A design: its files, and what elaboration found. Empty lists where `elaborated` is False."""

    project_dir: Path
    config: Config
    top: str
    sources: tuple[Source, ...]
    includes: tuple[Path, ...] = ()
    defines: dict[str, str] = {}
    parameters: dict[str, str] = {}
    ports: tuple[Port, ...] = ()
    clocks: tuple[str, ...] = ()
    resets: tuple[Reset, ...] = ()
    registers: tuple[Register, ...] = ()
    fsms: tuple[Fsm, ...] = ()
    properties: tuple[Property, ...] = ()
    modules: tuple[str, ...] = ()
    unbound: tuple[str, ...] = ()
    diagnostics: tuple[Finding, ...] = ()
    elaborated: bool
    content_hash: str

    def require_elaborated(self) -> None:
        """Raises DesignError, with the first errors, when the design did not elaborate."""
        if self.elaborated:
            return
        errors = [d for d in self.diagnostics if d.level is Level.ERROR]
        shown = "\n".join(f"{e.location}: {e.message}" for e in errors[:_MAX_SHOWN])
        raise DesignError(f"the design does not elaborate ({len(errors)} errors):\n{shown}")


def load(project_dir: Path, config: Config, extra_sources: Sequence[Path] = ()) -> Design:
    """The design of a project; `extra_sources` (property files) are elaborated with it.

    Syntax and elaboration errors are in `diagnostics`. Raises ConfigError for globs that match
    nothing, DesignError when there is no such top module or a file is not a text.
    """
    project = project_dir.resolve()
    sources = resolve_globs(
        project, config.design.sources, field="design.sources", exclude=config.design.exclude
    )
    files = (*sources, *(path for path in extra_sources if path not in sources))
    includes = _folders(project, config.design.includes)
    for path in files:
        _refuse_binary(path, project)
    digest = _digest(project, config, files, includes)
    answer = _cached(project, config, files, includes, digest)
    _refuse_outside(answer)
    if not answer["elaborated"] and config.project.top_module not in answer["modules"]:
        _top_not_found(config.project.top_module, answer)
    own = _modules_of(project, config, extra_sources, answer)
    return Design(
        project_dir=project,
        config=config,
        top=config.project.top_module,
        sources=tuple(Source(path=p, language=_language(p, config)) for p in sources),
        includes=includes,
        defines=config.design.defines,
        parameters=config.design.parameters,
        diagnostics=tuple(Finding(tool="slang", **row) for row in answer["diagnostics"]),
        fsms=tuple(_fsm(row) for row in answer.get("fsms", ())),
        modules=tuple(answer["modules"]),
        elaborated=answer["elaborated"],
        content_hash=digest,
        unbound=own,
        **{
            name: answer.get(name, ())
            for name in ("ports", "clocks", "resets", "registers", "properties")
        },
    )


def _fsm(row: dict[str, Any]) -> Fsm:
    return Fsm(**row)


def _folders(project: Path, names: Iterable[str]) -> tuple[Path, ...]:
    found = []
    for name in names:
        folder = (project / name).resolve()
        if not folder.is_relative_to(project) or not folder.is_dir():
            raise DesignError(f"design.includes: '{name}' is not a folder inside the project")
        found.append(folder)
    return tuple(found)


def _refuse_binary(path: Path, project: Path) -> None:
    """A NUL byte never occurs in a source; bytes that are not UTF-8 may, in comments."""
    data = path.read_bytes()
    if b"\0" in data:
        name = path.relative_to(project) if path.is_relative_to(project) else path.name
        raise DesignError(
            f"{name} is a binary file, not a Verilog source; leave it out of the globs"
        )


def _refuse_outside(answer: dict[str, Any]) -> None:
    if answer["outside"]:
        names = ", ".join(answer["outside"][:_MAX_SHOWN])
        raise DesignError(f"the design includes files from outside the project: {names}")


def _top_not_found(top: str, answer: dict[str, Any]) -> None:
    errors = (row for row in answer["diagnostics"] if row["level"] == "error")
    syntax = [row for row in errors if row["rule"] != "InvalidTopModule"]
    if syntax:  # a syntax error may be why the module is not seen: those errors are the news
        return
    near = difflib.get_close_matches(top, answer["modules"], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    there = ", ".join(answer["modules"][:20]) or "no module at all"
    raise DesignError(f"there is no module '{top}' in the sources{hint} (there is {there})")


def _modules_of(
    project: Path, config: Config, extra: Sequence[Path], answer: dict[str, Any]
) -> tuple[str, ...]:
    """Modules that `extra` files add and that are nowhere in the hierarchy: not bound."""
    if not extra or not answer["elaborated"]:
        return ()
    without = load(project, config)
    added = set(answer["modules"]) - set(without.modules)
    return tuple(sorted(added - set(answer["instantiated"])))


def _language(path: Path, config: Config) -> Language:
    if config.project.language:
        return Language.VERILOG if config.project.language == "v2005" else Language.SYSTEMVERILOG
    return Language.SYSTEMVERILOG if path.suffix in (".sv", ".svh") else Language.VERILOG


def _digest(project: Path, config: Config, files: Sequence[Path], includes: Sequence[Path]) -> str:
    """SHA-256 over everything that elaboration depends on."""
    nearby = {p for folder in (*includes, *{f.parent for f in files}) for p in folder.glob("*")}
    hidden = {p for p in nearby if p.suffix in _INCLUDED and p.is_file()} - set(files)
    settings = [
        _CACHE_FORMAT,
        tool("slang").version(),
        config.project.top_module,
        config.project.language,
        config.design.defines,
        config.design.parameters,
        [str(p.relative_to(project)) for p in includes],
    ]
    total = hashlib.sha256(json.dumps(settings).encode())
    for path in (*files, *sorted(hidden)):
        data = path.read_bytes()
        name = os.path.relpath(path, project)
        total.update(f"\n{name}\n{len(data)}\n".encode())
        total.update(data)
    return total.hexdigest()


def _cached(
    project: Path, config: Config, files: Sequence[Path], includes: Sequence[Path], digest: str
) -> dict[str, Any]:
    """slang's answer for this content, from the cache where it is there and whole."""
    entry = Settings().cache / "designs" / f"{digest}.json"
    try:
        found: dict[str, Any] = json.loads(entry.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        pass
    request = {
        "project": str(project),
        "sources": [str(p) for p in files],
        "includes": [str(p) for p in includes],
        "defines": config.design.defines,
        "parameters": config.design.parameters,
        "top": config.project.top_module,
        "language": "1364-2005" if config.project.language == "v2005" else "1800-2017",
    }
    with tempfile.TemporaryDirectory(prefix="openforge-") as scratch:
        answer = slang.elaborate(request, project=project, work=Path(scratch))
    _store(entry, answer)
    return answer


def _store(entry: Path, answer: dict[str, Any]) -> None:
    """Write a cache entry whole or not at all; a cache that cannot be written is no error."""
    part = entry.with_suffix(f".{os.getpid()}.part")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(answer), encoding="utf-8")
        part.replace(entry)
    except OSError:
        part.unlink(missing_ok=True)
