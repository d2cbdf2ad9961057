"""Elaborates a design with pyslang; runs as a program of its own, inside the sandbox.

``python slang_worker.py REQUEST.json ANSWER.json``. It reads hostile files, so nothing of OpenForge
is imported here: plain JSON goes in and plain JSON comes out. pyslang's own API is used as of 12.1.
"""

import json
import sys
from pathlib import Path

import slang_fsm
import slang_walk
from pyslang import DiagnosticSeverity, driver

WARNINGS = ("-Wwidth-trunc", "-Winferred-latch")
MAX_DIAGNOSTICS = 2000
LEVELS = {
    DiagnosticSeverity.Note: "note",
    DiagnosticSeverity.Warning: "warning",
    DiagnosticSeverity.Error: "error",
    DiagnosticSeverity.Fatal: "error",
}


def quoted(text):
    """`text` as one word of slang's command line."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def command_line(request):
    """The words that slang is called with."""
    words = ["slang", "--single-unit", "--error-limit=0", *WARNINGS, f"--top={request['top']}"]
    if request["language"] == "1364-2005":
        words.append("--std=1364-2005")
    words += [f"-I{quoted(folder)}" for folder in request["includes"]]
    words += [f"-D{quoted(f'{name}={value}')}" for name, value in request["defines"].items()]
    words += [f"-G{quoted(f'{name}={value}')}" for name, value in request["parameters"].items()]
    return " ".join([*words, *(quoted(path) for path in request["sources"])])


class Places:
    """Source positions in the terms of the project."""

    def __init__(self, manager, root):
        self._manager = manager
        self._root = Path(root)

    def of(self, location):
        """File (relative to the project when inside), line and column of a location."""
        if location is None or not location.buffer:
            return None
        location = self._manager.getFullyExpandedLoc(location)
        path = Path(str(self._manager.getFullPath(location.buffer)))
        inside = path.is_relative_to(self._root)
        return {
            "file": path.relative_to(self._root).as_posix() if inside else path.name,
            "line": self._manager.getLineNumber(location),
            "column": self._manager.getColumnNumber(location),
        }

    def excerpt(self, location):
        """The source line at a location, only if its file is inside the project."""
        location = self._manager.getFullyExpandedLoc(location)
        path = Path(str(self._manager.getFullPath(location.buffer)))
        if not path.is_relative_to(self._root):
            return None
        text = self._manager.getSourceText(location.buffer)
        lines = text.replace("\0", "").split("\n")
        number = self._manager.getLineNumber(location)
        return lines[number - 1][:400] if number <= len(lines) else None


def diagnostics(engine, places, found):
    """`found` without repetitions and without what the warning options leave out."""
    rows = {}
    for diagnostic in found:
        level = LEVELS.get(engine.getSeverity(diagnostic.code, diagnostic.location))
        if level is None:
            continue
        place = places.of(diagnostic.location)
        row = {
            "rule": engine.getOptionName(diagnostic.code) or code_name(diagnostic.code),
            "level": level,
            "message": engine.formatMessage(diagnostic),
            "location": place,
            "excerpt": places.excerpt(diagnostic.location) if place else None,
        }
        rows.setdefault(json.dumps(row, sort_keys=True), row)
        if len(rows) >= MAX_DIAGNOSTICS:
            break
    return list(rows.values())


def code_name(code):
    """``DiagCode(UnknownModule)`` -> ``UnknownModule``."""
    return str(code).removeprefix("DiagCode(").removesuffix(")")


def elaborate(request):
    """The answer to `request`: what there is in the design, or why it does not elaborate."""
    slang = driver.Driver()
    slang.addStandardArgs()
    if not slang.parseCommandLine(command_line(request), driver.CommandLineOptions()):
        return {"problem": "slang does not accept the project's defines or parameters"}
    if not slang.processOptions():
        return {"problem": "slang cannot read the project's files"}
    slang.parseAllSources()
    compilation = slang.createCompilation()
    places = Places(slang.sourceManager, request["project"])
    root = compilation.getRoot()
    found = list(compilation.getAllDiagnostics())
    failed = any(diagnostic.isError() for diagnostic in found)
    if not failed:
        found += slang.runAnalysis(compilation).getDiagnostics()
    answer = {
        "diagnostics": diagnostics(slang.diagEngine, places, found),
        "modules": sorted(slang_walk.definitions(compilation)),
        "elaborated": False,
        "outside": outside(slang.sourceManager, request),
    }
    top = next((t for t in root.topInstances if t.name == request["top"]), None)
    if top is None or failed:
        return answer
    design = slang_walk.Walk(top, places)
    return {
        **answer, **design.answer(), "elaborated": True,
        "fsms": slang_fsm.find(design, places), "parameters": slang_walk.parameters(top),
    }


def outside(manager, request):
    """Files that were read though they are not in the project."""
    roots = [Path(request["project"])]
    names = (Path(str(manager.getFullPath(buffer))) for buffer in manager.getAllBuffers())
    files = {path for path in names if path.is_absolute()}
    return sorted(str(p) for p in files if not any(p.is_relative_to(root) for root in roots))


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(elaborate(asked)), encoding="utf-8")
