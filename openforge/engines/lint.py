"""Lint: Verilator and slang read the design; what both say is said once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from openforge import events
from openforge import waivers as waiver_files
from openforge.config import LintSection, resolve_globs
from openforge.design import Design, Language
from openforge.model import Finding, Level, Metric, Result, Stage, Verdict
from openforge.plain import counted
from openforge.run_folder import RunFolder
from openforge.tools import verilator_lint
from openforge.waivers import Waiver

# Rules of the two tools that say the same thing; a prefix of the rule's name is enough.
_FAMILIES = {
    "width": ("WIDTH", "width-", "implicit-conv", "arith-op-mismatch", "sign-conversion"),
    "unused": ("UNUSED", "unused-"),
    "undriven": ("UNDRIVEN", "undriven", "unassigned-"),
    "case": ("CASE", "case-"),
    "latch": ("LATCH", "inferred-latch"),
    "multidriven": ("MULTIDRIVEN", "multiple-", "MultipleAlways"),
    "pin": ("PIN", "unconnected-", "missing-", "port-width"),
    "implicit": ("IMPLICIT", "implicit-net"),
}
_CUT = "findings-cut"  # of the slang worker
_SWITCHES = re.compile(r"\blint_off\b|`pragma\s+diagnostic\s+ignore")
_LEVEL_ORDER = (Level.ERROR, Level.WARNING, Level.NOTE)


def run(params: LintSection, design: Design, folder: RunFolder) -> Result:
    """Findings of the tools asked for, merged and waived; ``failed`` at the level `fail_on`."""
    found: list[Finding] = []
    if "verilator" in params.tools:
        events.log("Linting with Verilator")
        found += verilator_lint.lint(_options(design), project=design.project_dir, work=folder.work)
    if "slang" in params.tools:
        events.log("Linting with slang")
        found += design.diagnostics
    waivers = waiver_files.load(
        resolve_globs(design.project_dir, params.waivers, field="verification.lint.waivers")
    )
    findings = _waive(merge(found), waivers)
    for finding in findings:
        events.log(
            f"{finding.location or design.top}: {finding.rule}: {finding.message}", _word(finding)
        )
    return _conclude(params, design, findings)


def merge(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """`found` without doubles, sorted by place: one finding a line and family of rules.

    Of a double the heavier level counts, the first message stays and both tools are named. Two
    syntax errors on one line are one, whatever the tools call them.
    """
    kept: dict[tuple[str, int | None, str, str], Finding] = {}
    for finding in found:
        key = _identity(finding)
        if key in kept and finding.tool not in kept[key].tool:
            finding = _join(kept[key], finding)  # noqa: PLW2901  (the joined one replaces it)
        elif key in kept:
            key = (*key[:3], f"{key[3]} {finding.location} {finding.message}")
        kept[key] = finding
    return tuple(sorted(kept.values(), key=_place))


def _identity(finding: Finding) -> tuple[str, int | None, str, str]:
    place = finding.location
    family = next((f for f, rules in _FAMILIES.items() if finding.rule.startswith(rules)), None)
    if family is None:
        family = "error" if finding.level is Level.ERROR else finding.rule
    return (place.file if place else "", place.line if place else None, family, "")


def _join(first: Finding, second: Finding) -> Finding:
    level = min(first.level, second.level, key=_LEVEL_ORDER.index)
    return first.model_copy(
        update={
            "level": level,
            "tool": f"{first.tool}, {second.tool}",
            "excerpt": first.excerpt or second.excerpt,
        }
    )


def _place(finding: Finding) -> tuple[str, int, int, str]:
    place = finding.location
    if place is None:
        return ("", 0, 0, finding.rule)
    return (place.file, place.line or 0, place.column or 0, finding.rule)


def _waive(findings: tuple[Finding, ...], waivers: tuple[Waiver, ...]) -> tuple[Finding, ...]:
    """Mark what a waiver covers; a waiver that covers nothing is itself a finding."""
    used: set[Waiver] = set()
    marked = []
    for finding in findings:
        covering = () if finding.rule == _CUT else waivers
        waiver = next((w for w in covering if _covers(w, finding)), None)
        if waiver:
            used.add(waiver)
            finding = finding.model_copy(update={"waived_by": waiver.reason})  # noqa: PLW2901
        marked.append(finding)
    return (*marked, *(_unused(waiver) for waiver in waivers if waiver not in used))


def _covers(waiver: Waiver, finding: Finding) -> bool:
    file, line = (finding.location.file, finding.location.line) if finding.location else ("", None)
    return (
        fnmatchcase(finding.rule, waiver.rule or "*")
        and fnmatchcase(file, waiver.file or "*")
        and waiver.line in (None, line)
        and fnmatchcase(finding.message, waiver.message or "*")
    )


def _unused(waiver: Waiver) -> Finding:
    about = " ".join(str(v) for v in (waiver.rule, waiver.file, waiver.line, waiver.message) if v)
    return Finding(
        rule="unused-waiver",
        level=Level.NOTE,
        tool="openforge",
        message=f"this waiver covers nothing and can go: {about}",
    )


def _conclude(params: LintSection, design: Design, findings: tuple[Finding, ...]) -> Result:
    counts = Counter(finding.level for finding in findings if finding.waived_by is None)
    files = counted(len(design.sources), "source file")
    waived = sum(finding.waived_by is not None for finding in findings)
    errors, warnings = counts[Level.ERROR], counts[Level.WARNING]
    if errors:
        verdict, reason = Verdict.FAILED, counted(errors, "error")
    elif warnings and params.fail_on == "warning":
        verdict = Verdict.FAILED
        reason = f"{counted(warnings, 'warning')}, and fail_on is 'warning'"
    else:
        reason = _not_seen(findings)
        verdict = Verdict.INCONCLUSIVE if reason else Verdict.PASSED
    return Result(
        check="lint",
        stage=Stage.LINT,
        verdict=verdict,
        reason=reason,
        findings=findings,
        bounds=(f"rules of {' and '.join(params.tools)} on {files}",),
        assumptions=_assumptions(design, waived),
        metrics=(
            Metric(name="errors", value=errors),
            Metric(name="warnings", value=warnings),
            Metric(name="waived", value=waived),
        ),
        summary={"warnings": warnings, "errors": errors},
    )


def _not_seen(findings: Iterable[Finding]) -> str:
    """Why there may be findings that nobody saw, empty when there are none."""
    for finding in findings:
        if finding.waived_by is not None and finding.level is Level.ERROR:
            return f"{finding.rule} is waived, but tools stop at an error: what follows is unknown"
        if finding.rule == _CUT:
            return finding.message
    return ""


def _assumptions(design: Design, waived: int) -> tuple[str, ...]:
    """What the verdict rests on: waivers, and sources that switch rules off for themselves."""
    found = [f"{counted(waived, 'finding')} waived"] if waived else []
    for source in design.sources:
        text = source.path.read_text("utf-8", "replace")
        lines = [str(n) for n, line in enumerate(text.splitlines(), 1) if _SWITCHES.search(line)]
        if lines:
            name = source.path.relative_to(design.project_dir).as_posix()
            more = ", ..." if len(lines) > 5 else ""
            found.append(f"{name} switches rules off in line {', '.join(lines[:5])}{more}")
    return tuple(found)


def _word(finding: Finding) -> str:
    if finding.waived_by is not None:
        return "INFO"
    return {Level.ERROR: "ERROR", Level.WARNING: "WARNING"}.get(finding.level, "INFO")


def _options(design: Design) -> list[str | Path]:
    language = "1364-2005" if _is_verilog(design) else "1800-2017"
    options: list[str | Path] = ["--top-module", design.top, "--default-language", language]
    options += [f"-I{folder}" for folder in design.includes]
    options += [f"-D{name}={value}" for name, value in design.defines.items()]
    options += [f"-G{name}={value}" for name, value in design.parameters.items()]
    return [*options, *(source.path for source in design.sources)]


def _is_verilog(design: Design) -> bool:
    return all(source.language is Language.VERILOG for source in design.sources)
