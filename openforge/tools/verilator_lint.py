"""Verilator as a linter: ``--lint-only -Wall``, read from the SARIF file that it writes."""

from __future__ import annotations

import json
import re
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
_COMMA = re.compile(r'\}(\s*)"invocations"')
_SUM = "Exiting due to "  # a count of the others, not a finding
_BOILERPLATE = ("... For ", '... Use "', "... note: In instance")


def lint(options: Iterable[str | Path], *, project: Path, work: Path) -> tuple[Finding, ...]:
    """Everything that Verilator says of a design; `options` are its sources and switches.

    Raises ToolError when Verilator did not end by itself, or failed without saying why.
    """
    verilator = program("verilator")
    answer = work / "verilator.sarif"
    ended = process.run(
        [
            verilator,
            "--lint-only",
            "-Wall",
            "--diagnostics-sarif",
            "--diagnostics-sarif-output",
            answer,
            *options,
        ],
        cwd=work,
        log=work / "verilator-lint.log",
        limits=_LIMITS,
        env={"VERILATOR_ROOT": str(verilator.parent.parent)},
        readable=[project],
        writable=[work],
    ).expect("Verilator's lint", codes=(0, 1))
    if ended.returncode == 0:  # warnings are fatal with -Wall, so that there are none
        return ()
    try:
        found = parse(answer.read_text("utf-8", "replace"), project)
    except (OSError, ValueError) as error:
        raise ToolError(f"Verilator's lint left no readable answer: {error}", ended.log) from error
    if not found:
        raise ToolError("Verilator's lint failed\n" + "\n".join(ended.tail), ended.log)
    return found


def parse(sarif: str, project: Path) -> tuple[Finding, ...]:
    """The results of a SARIF 2.1.0 text as findings, with places relative to `project`."""
    # Verilator 5.48 leaves out a comma when no finding has a rule, as syntax errors have none.
    whole = _COMMA.sub(r'},\1"invocations"', sarif, count=1)
    runs = json.loads(whole)["runs"]
    results = (result for run in runs for result in run["results"])
    return tuple(_finding(r, project) for r in results if not r["message"]["text"].startswith(_SUM))


def _finding(result: dict[str, Any], project: Path) -> Finding:
    lines = result["message"]["text"].splitlines()
    useful = [line for line in lines if not line.startswith(_BOILERPLATE)]
    places: list[dict[str, Any]] = result.get("locations", [])
    place: dict[str, Any] = places[0].get("physicalLocation", {}) if places else {}
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
