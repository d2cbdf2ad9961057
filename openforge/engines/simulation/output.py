"""What a simulator's output says: errors, warnings, and whether and where it was ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from openforge.model import Location

# Verilator: "[70000] %Error: s.sv:3: Assertion failed in s.a_small"; Icarus: "ERROR: s.sv:3: ...".
# Found anywhere in a line, as a $write may have begun it; a path may contain colons.
_ERROR = re.compile(
    r"(?:%(?:Error|Fatal)|\b(?:ERROR|FATAL))(?:-\w+)?: "
    r"(?P<file>.+?):(?P<line>\d+):\s*(?P<message>.*)"
)
_WARNING = re.compile(r"(?:\[\d+\] )?((?:%Warning|WARNING: ).*)")  # without its time
# Icarus 11 ends what it prints for $error with this line. The indent tells it from a $warning's,
# and a line break always comes before it, whatever the design has written.
_REPORT = re.compile(r" {7}Time: \d+ +Scope: \S")
# Icarus 11 says so of a system task that cannot do its work, without that last line.
_TASK = re.compile(r"\bERROR: .+?:\d+: \$[a-z]")
_MISSING = re.compile(
    r"%Warning: (.+):0: \$readmem file not found|\$readmem[bh]: Unable to open (.+) for reading"
)
_FINISHED = ": Verilog $finish"  # Verilator: "- /project/tb.sv:7: Verilog $finish"
_STOPPED = re.compile(r"\$stop called at")
_MAX_KEPT = 20


class Output:
    """Takes the lines of one simulation and remembers what they say.

    `errors` are lines that look like a report of a failure, which a Python test could also have
    printed; `reported` says that one of Icarus' is certain (Verilator's change the exit code).
    `finished` is False after the line `unfinished`, which says that ``$finish`` was not reached;
    `finish` is Verilator's line about the first one that was. `missing` is a file that
    ``$readmemh`` did not find.
    """

    def __init__(self, unfinished: str = "") -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.reported = False
        self.finished = True
        self.finish = ""
        self.missing = ""
        self._unfinished = unfinished

    def take(self, line: str) -> None:
        """Look at the next line."""
        if is_error(line) and len(self.errors) < _MAX_KEPT:
            self.errors.append(line)
        warning = _WARNING.match(line)
        if warning and warning[1] not in self.warnings and len(self.warnings) < _MAX_KEPT:
            self.warnings.append(warning[1])
        if _REPORT.match(line) or _TASK.search(line):
            self.reported = True
        missing = _MISSING.search(line)
        if missing:
            self.missing = missing[1] or missing[2]
        if _FINISHED in line and not self.finish:
            self.finish = line
        if self._unfinished and self._unfinished in line:
            self.finished = False


def is_error(line: str) -> bool:
    """Whether an output line looks like the simulator's own report of a failure."""
    return bool(_ERROR.search(line) or _STOPPED.search(line))


def first_error(errors: Sequence[str], project: Path) -> tuple[str, Location | None]:
    """The message of the first of `errors`, and its place relative to `project`."""
    found = [match for match in map(_ERROR.search, errors) if match]
    if not found:
        return (errors[0].strip() if errors else "the simulator reported an error"), None
    first = found[0]
    # The first line names the file without its folder, the one about $stop has all of it.
    same = [m for m in found if Path(m["file"]).name == Path(first["file"]).name]
    full = next((m for m in same if Path(m["file"]).is_relative_to(project)), None)
    file = Path(full["file"]).relative_to(project).as_posix() if full else Path(first["file"]).name
    return first["message"] or errors[0].strip(), Location(file=file, line=int(first["line"]))
