"""Files -> Design: what is verified, elaborated by slang and cached by content."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from openforge import design_files
from openforge.config import Config, resolve_globs
from openforge.design_files import Files
from openforge.errors import CheckFailedToRun, DesignError
from openforge.model import Finding, Level, Location, Record
from openforge.tools import slang

_MAX_SHOWN = 5
_SETTINGS = ("top", "defines", "parameters", "language")
_ELABORATED = (
    "ports",
    "clocks",
    "resets",
    "registers",
    "fsms",
    "properties",
    "unbound",
    "unprovable",
)


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
    """A port of the top module; `width` in bits.

    `one_range` says that an index names a bit, not an element of several bits; `signed` that it is
    a signed number in expressions.
    """

    name: str
    direction: Direction
    width: int
    one_range: bool = True
    signed: bool = False
    location: Location | None = None


class Reset(Record):
    """A reset of the design, as a port of the top module."""

    signal: str
    active_low: bool
    asynchronous: bool


class Register(Record):
    """A register; `name` is hierarchical below the top, `width` and `one_range` as for a port."""

    name: str
    width: int
    one_range: bool = True
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
    """An assertion, assumption or cover point. `problem` says why it cannot be used in a proof.

    `text` is its expression. `silent` says that a simulator goes on when it fails: its else branch
    reports no error.
    """

    name: str
    kind: PropertyKind
    location: Location
    text: str
    concurrent: bool
    silent: bool = False
    supported: bool
    problem: str = ""


class Unprovable(Record):
    """What a netlist cannot say, so that a proof would be about another design."""

    location: Location | None
    message: str


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
    unprovable: tuple[Unprovable, ...] = ()
    diagnostics: tuple[Finding, ...] = ()
    elaborated: bool
    content_hash: str

    def require_provable(self) -> None:
        """Raises CheckFailedToRun, with places, for what the netlist would say otherwise."""
        if self.unprovable:
            lines = (f"{found.location or '?'}: {found.message}" for found in self.unprovable)
            raise CheckFailedToRun("what cannot be in a proof:\n" + "\n".join(lines))

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
    nothing, DesignError when there is no such top module or parameter or a file is not a text.
    """
    project = project_dir.resolve()
    named = resolve_globs(
        project, config.design.sources, field="design.sources", exclude=config.design.exclude
    )
    sources = tuple(path.resolve() for path in named)  # tools name what a link leads to
    extra = tuple(dict.fromkeys(p.absolute() for p in extra_sources if p not in sources))
    files = Files(project, sources, extra, design_files.folders(project, config.design.includes))
    request = _request(files, config)
    digest = design_files.digest(files, [request[name] for name in _SETTINGS])
    outside = [path for path in extra if not path.is_relative_to(project)]
    answer = slang.cached(
        request,
        digest,
        readable=[project, *outside],
        keep=lambda answer: not design_files.surprises(files, answer["files"]),
    )
    _refuse_unknown(config, answer)
    return Design(
        project_dir=project,
        config=config,
        top=config.project.top_module,
        sources=tuple(Source(path=p, language=_language(p, config)) for p in sources),
        includes=files.includes,
        defines=config.design.defines,
        parameters=config.design.parameters,
        diagnostics=tuple(Finding(tool="slang", **row) for row in answer["diagnostics"]),
        modules=tuple(answer["modules"]),
        elaborated=answer["elaborated"],
        content_hash=design_files.with_surprises(digest, files, answer["files"]),
        **{name: answer.get(name, ()) for name in _ELABORATED},
    )


def _request(files: Files, config: Config) -> dict[str, Any]:
    return {
        "project": str(files.project),
        "sources": [str(p) for p in files.sources],
        "extra": [str(p) for p in files.extra],
        "includes": [str(p) for p in files.includes],
        "not_utf8": [str(p) for p in files.not_utf8()],
        "defines": config.design.defines,
        "parameters": config.design.parameters,
        "top": config.project.top_module,
        "language": "1364-2005" if config.project.language == "v2005" else "1800-2017",
    }


def _refuse_unknown(config: Config, answer: dict[str, Any]) -> None:
    """Refuse a top module, or a parameter of it, that is not there: slang ignores the latter."""
    top = config.project.top_module
    other = ("InvalidTopModule", "missing-top")
    syntax = [
        row for row in answer["diagnostics"] if row["level"] == "error" and row["rule"] not in other
    ]
    if not answer["elaborated"] and top not in answer["modules"] and not syntax:
        there = _near(top, answer["modules"], "module")
        raise DesignError(f"there is no module '{top}' in the sources{there}")
    for name in config.design.parameters if answer["elaborated"] else ():
        if name not in answer["parameters"]:
            there = _near(name, answer["parameters"], "parameter")
            raise DesignError(f"design.parameters: module '{top}' has no parameter '{name}'{there}")


def _near(name: str, known: Sequence[str], what: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{hint} (there is {', '.join(list(known)[:20]) or f'no {what} at all'})"


def _language(path: Path, config: Config) -> Language:
    if config.project.language:
        return Language.VERILOG if config.project.language == "v2005" else Language.SYSTEMVERILOG
    return Language.SYSTEMVERILOG if path.suffix in (".sv", ".svh") else Language.VERILOG
