"""Verilator as a linter: ``--lint-only -Wall``, read from the SARIF file that it writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from openforge.errors import ToolError
from openforge.model import Finding, Level, Location
from openforge.tools import process
from openforge.tools.locate import program

_LEVELS = {"error": Level.ERROR, "warning": Level.WARNING}
_LIMITS = process.Limits(timeout_s=120, memory_bytes=4 << 30)
_BOILERPLATE = ("... For ", '... Use "', "... note: In instance")


def lint(options: Iterable[str | Path], *, project: Path, work: Path) -> tuple[Finding, ...]:
    """Everything that Verilator says of a design; `options` are its sources and switches.

    Raises ToolError when Verilator did not end by itself, or failed without saying why.
    """
    verilator = program("verilator")
    answer = work / "verilator.sarif"
    ended = process.run(
        [verilator, "--lint-only", "-Wall", "--diagnostics-sarif",
         "--diagnostics-sarif-output", answer, *options],
        cwd=work, log=work / "verilator-lint.log", limits=_LIMITS,
        env={"VERILATOR_ROOT": str(verilator.parent.parent)}, readable=[project], writable=[work],
    ).expect("Verilator's lint", codes=(0, 1))
    found = parse(answer.read_text("utf-8", "replace"), project) if answer.is_file() else ()
    if ended.returncode != 0 and not found:
        raise ToolError("Verilator's lint failed\n" + "\n".join(ended.tail), ended.log)
    return found


def parse(sarif: str, project: Path) -> tuple[Finding, ...]:
    """The results of a SARIF 2.1.0 text as findings, with places relative to `project`."""
    runs = json.loads(sarif)["runs"]
    return tuple(_finding(result, project) for run in runs for result in run["results"])


def _finding(result: dict[str, Any], project: Path) -> Finding:
    lines = result["message"]["text"].splitlines()
    useful = [line for line in lines if not line.startswith(_BOILERPLATE)]
    place = next(iter(result.get("locations", ())), {}).get("physicalLocation", {})
    region = place.get("region", {})
    return Finding(
        rule=result.get("ruleId", "verilator"),
        level=_LEVELS.get(result["level"], Level.NOTE),
        message="\n".join(useful[:4]),
        location=_location(place, region, project),
        excerpt=region.get("snippit", {}).get("text"),  # (sic) in Verilator 5.48
        tool="verilator",
    )


def _location(place: dict[str, Any], region: dict[str, Any], project: Path) -> Location | None:
    uri = place.get("artifactLocation", {}).get("uri")
    if not uri:
        return None
    path = Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
    file = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
    return Location(file=file, line=region.get("startLine"), column=region.get("startColumn"))
