"""Live events of a check: log lines and progress, from wherever they arise to whoever listens.

Inside a kernel that the runner started, events travel as JSON lines over the pipe named by
``OPENFORGE_EVENTS``: unlike Jupyter messages, a pipe can be written from any thread. Elsewhere
(JupyterLab, a script) they go to the logger ``openforge``.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping

from pydantic import JsonValue

ENVIRONMENT = "OPENFORGE_EVENTS"
_MAX_LINE = 4000  # below PIPE_BUF (4096), so that a line is written whole or not at all

_logger = logging.getLogger("openforge")
_lock = threading.Lock()
_pipe: tuple[str, int] | None = None


def log(message: str, level: str = "INFO") -> None:
    """Tell the user one line. `level` is a name of the logging module."""
    text = message.rstrip("\n")[: _MAX_LINE // 2]
    if not _send({"type": "log", "level": level, "message": text}):
        _logger.log(logging.getLevelNamesMapping().get(level, logging.INFO), text)


def progress(done: int, total: int, unit: str) -> None:
    """Tell the user how far the check is, e.g. ``progress(7, 10, "tests")``."""
    if not _send({"type": "progress", "done": done, "total": total, "unit": unit}):
        _logger.info("%d/%d %s", done, total, unit)


def _send(event: Mapping[str, JsonValue]) -> bool:
    """Write `event` to the runner's pipe; False when there is no runner listening."""
    global _pipe  # noqa: PLW0603  (one pipe a process)
    path = os.environ.get(ENVIRONMENT)
    if not path:
        return False
    line = json.dumps(event)
    if len(line) >= _MAX_LINE:  # escapes made it long: shorten the text, never the JSON
        event = {**event, "message": str(event.get("message", ""))[:600]}
        line = json.dumps(event)
    with _lock:
        try:
            if _pipe is None or _pipe[0] != path:
                _pipe = (path, os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
                os.set_blocking(_pipe[1], True)
            os.write(_pipe[1], line.encode() + b"\n")
        except OSError:
            return False
    return True
