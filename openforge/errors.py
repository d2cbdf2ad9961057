"""The exceptions of OpenForge: one tree, raised when something *could not be checked*.

A bad design is never an exception: it is a :class:`~openforge.model.Result` that says ``failed``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class OpenForgeError(Exception):
    """Something could not be done; the message says what was expected, found, and what to do."""


@dataclass(frozen=True)
class Problem:
    """One fault in a configuration, with its place and the nearest right name."""

    field: str
    message: str
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None
    file: str = "openforge.yaml"

    def __str__(self) -> str:
        place = self.file + "".join(f":{n}" for n in (self.line, self.column) if n)
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {field}{self.message}{hint}"


class ConfigError(OpenForgeError):
    """The project file, or an override of it, is not valid; carries every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InterfaceError(ConfigError):
    """The security annotation does not fit the design; carries every problem found."""


class DesignError(OpenForgeError):
    """The design could not be elaborated; the message lists the first diagnostics."""


class ToolError(OpenForgeError):
    """An external program failed, with the path of its log so that nothing is swallowed."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        self.log = log
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.args[0]} (log: {self.log})" if self.log else str(self.args[0])


class ToolMissing(ToolError):
    """A tool that a check needs is not installed; the message says how to get it."""


class ToolTimeout(ToolError):
    """A tool was ended because its time limit was reached."""


class SandboxUnavailable(OpenForgeError):
    """`OPENFORGE_SANDBOX=required`, and no sandbox can be made here."""


class CheckFailedToRun(OpenForgeError):
    """A check ended without a verdict for a reason that is not a tool's."""


class NotFound(OpenForgeError):
    """A job, check or artifact that was named does not exist in this workspace."""


class NameTaken(OpenForgeError):
    """Something else has that name."""


class QueueFull(OpenForgeError):
    """No more jobs are taken until some have ended."""


class Busy(OpenForgeError):
    """Another process has what only one can have."""
