"""Elaborates a design with pyslang; runs as a program of its own, inside the sandbox.

``python slang_worker.py REQUEST.json ANSWER.json``. It reads hostile files, so nothing of OpenForge
is imported here: plain JSON goes in and plain JSON comes out. pyslang's own API is used as of 12.1.
"""

import json
import os
import sys
from pathlib import Path

import slang_fsm
import slang_unprovable
import slang_walk
from pyslang import DiagnosticSeverity, driver

# What Verilator would say too; of packages and libraries that are not used whole, nothing.
WARNINGS = (
    "-Wextra",
    "-Wunused",
    "-Wno-unused-package-parameter",
    "-Wno-unused-wildcard-import",
    "-Wno-unused-import",
    "-Wno-unused-def",
    "-Wno-unused-typedef",
    "-Wno-unused-subroutine",
    "-Wno-unused-genvar",
    "-Wno-unused-assertion-decl",
    "-Wno-unused-config-cell",
    "-Wno-unused-config-instance",
    "-Wno-empty-input-connection",
    "-Wno-empty-stmt",
    "-Wno-unknown-warning-option",
)
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
    words = [
        "slang",
        "--single-unit",
        "--error-limit=0",
        "--allow-dup-initial-drivers",
        *WARNINGS,
        f"--top={request['top']}",
    ]
    if request["language"] == "1364-2005":
        words.append("--std=1364-2005")
    words += [f"-I{quoted(folder)}" for folder in request["includes"]]
    words += [f"-D{quoted(f'{name}={value}')}" for name, value in request["defines"].items()]
    words += [f"-G{quoted(f'{name}={value}')}" for name, value in request["parameters"].items()]
    return " ".join([*words, *(quoted(path) for path in (*request["sources"], *request["extra"]))])


class Places:
    """Source positions in the terms of the project."""

    def __init__(self, manager, root):
        self._manager = manager
        self._root = Path(root)
        self._lines = {}

    def of(self, location):
        """File (relative to the project when inside), line and column of a location."""
        if location is None or not location.buffer:
            return None
        location = self._manager.getFullyExpandedLoc(location)
        path = self.path(location)
        if not path.is_absolute():  # the command line: a name of the project file, no place
            return None
        inside = path.is_relative_to(self._root)
        return {
            "file": path.relative_to(self._root).as_posix() if inside else path.name,
            "line": self._manager.getLineNumber(location),
            "column": self._manager.getColumnNumber(location),
        }

    def excerpt(self, location):
        """The source line at a location, only if its file is inside the project."""
        location = self._manager.getFullyExpandedLoc(location)
        path = self.path(location)
        if path not in self._lines:
            inside = path.is_relative_to(self._root) and path.is_file()
            text = path.read_text("utf-8", "replace") if inside else ""
            self._lines[path] = text.split("\n")
        lines, number = self._lines[path], self._manager.getLineNumber(location)
        return (
            lines[number - 1].rstrip("\r")[:400] if number <= len(lines) and lines != [""] else None
        )

    def path(self, location):
        """The real path of a location's file: a link out of the project is outside."""
        name = str(self._manager.getFullPath(location.buffer))
        return Path(os.path.realpath(name) if os.path.isabs(name) else name)  # noqa: PTH117


def diagnostics(engine, places, found):
    """`found`, errors first, without repetitions and what the warning options leave out.

    A last row says so when there are more than are told.
    """
    rows = {}
    for diagnostic in sorted(found, key=lambda diagnostic: not diagnostic.isError()):
        level = LEVELS.get(engine.getSeverity(diagnostic.code, diagnostic.location))
        rule = engine.getOptionName(diagnostic.code) or code_name(diagnostic.code)
        message = engine.formatMessage(diagnostic)
        if level is None or (rule.startswith("unused-") and "unused" in message.partition("'")[2]):
            continue  # as in Verilator, a name with "unused" in it says so by itself
        place = places.of(diagnostic.location)
        excerpt = places.excerpt(diagnostic.location) if place else None
        row = finding(rule, level, message, place, excerpt)
        rows.setdefault(json.dumps(row, sort_keys=True), row)
        if len(rows) > MAX_DIAGNOSTICS:
            text = f"only the first {MAX_DIAGNOSTICS} findings of slang are told"
            told = list(rows.values())[:MAX_DIAGNOSTICS]
            return [*told, finding("findings-cut", "note", text)]
    return list(rows.values())


def finding(rule, level, message, place=None, excerpt=None):
    """A finding as plain data."""
    return {"rule": rule, "level": level, "message": message, "location": place, "excerpt": excerpt}


def code_name(code):
    """``DiagCode(UnknownModule)`` -> ``UnknownModule``."""
    return str(code).removeprefix("DiagCode(").removesuffix(")")


def read(request):
    """slang with all sources parsed, and the findings about their encoding; or why it cannot be."""
    slang = driver.Driver()
    slang.addStandardArgs()
    if not slang.parseCommandLine(command_line(request), driver.CommandLineOptions()):
        return None, "slang does not accept the project's defines or parameters"
    found = []
    for path in request["not_utf8"]:  # pyslang hands every text to Python, which wants UTF-8
        text = Path(path).read_bytes().decode("utf-8", "replace")
        slang.sourceManager.assignText(path, text)
        line = text[: text.index("\ufffd")].count("\n") + 1
        place = {"file": os.path.relpath(path, request["project"]), "line": line, "column": None}
        found.append(finding("not-utf8", "warning", "bytes that are not UTF-8", place))
    if not slang.processOptions():
        return None, "slang cannot read the project's files"
    slang.parseAllSources()
    return slang, found


def elaborate(request):
    """The answer to `request`: what there is in the design, or why it does not elaborate."""
    slang, before = read(request)
    if slang is None:
        return {"problem": before}
    compilation = slang.createCompilation()
    manager = slang.sourceManager
    places = Places(manager, request["project"])
    root = compilation.getRoot()
    found = list(compilation.getAllDiagnostics())
    failed = any(diagnostic.isError() for diagnostic in found)
    if not failed:
        found += slang.runAnalysis(compilation).getDiagnostics()
    known = slang_walk.definitions(compilation)
    foreign = outside(manager, request)
    answer = {
        "diagnostics": foreign or before + diagnostics(slang.diagEngine, places, found),
        "modules": [] if foreign else sorted(known),
        "elaborated": False,
        "files": sorted(str(path) for path in files(manager)),
    }
    top = next((t for t in root.topInstances if t.name == request["top"]), None)
    if top is None or failed or foreign:
        return answer
    design = slang_walk.Walk(top, places)
    extra = {os.path.realpath(path) for path in request["extra"]}
    added = {n for n, d in known.items() if d.location and str(places.path(d.location)) in extra}
    return {
        **answer,
        **design.answer(),
        "elaborated": True,
        "fsms": slang_fsm.find(design, places),
        "parameters": slang_walk.parameters(top),
        "unbound": sorted(added - design.instances),
        "unprovable": slang_unprovable.unprovable(compilation, top, design.instances, places),
    }


def files(manager):
    """The files that were read."""
    names = (Path(str(manager.getFullPath(buffer))) for buffer in manager.getAllBuffers())
    return {Path(os.path.realpath(name)) for name in names if name.is_absolute()}


def outside(manager, request):
    """A finding for each file that was read though it is neither in the project nor asked for."""
    root = Path(request["project"])
    asked = {Path(os.path.realpath(path)) for path in (*request["sources"], *request["extra"])}
    strange = sorted(p for p in files(manager) - asked if not p.is_relative_to(root))
    text = "the design includes a file from outside the project: "
    return [finding("include-outside", "error", text + str(path)) for path in strange]


def main(asked, answered):
    """Answer the request in the file `asked` in the file `answered`."""
    request = json.loads(Path(asked).read_text(encoding="utf-8"))
    try:
        answer = elaborate(request)
    except UnicodeDecodeError as error:
        answer = {"problem": f"a name or an included file is not UTF-8 ({error.reason})"}
    Path(answered).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
