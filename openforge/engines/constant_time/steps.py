"""The steps of the cascade that take time: each is a process of its own, with limits."""

from __future__ import annotations

import pickle
import sys
import threading
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from openforge.analysis.constraints import ContradictionError
from openforge.engines.constant_time import working
from openforge.engines.constant_time.working import Answer, Kind, Task
from openforge.errors import DesignError, ToolError
from openforge.tools import process

__all__ = ["CIRCUIT", "Answer", "Kind", "Task", "run"]

CIRCUIT = working.CIRCUIT
_LIMITS = {
    process.Outcome.TIMEOUT: "out of time",
    process.Outcome.MEMORY: "out of memory",
    process.Outcome.STOPPED: "stopped",
}
_MEMORY_BYTES = 650 << 20  # two of them run at a time
_GRACE_S = 3.0
_ANSWER = TypeAdapter(Answer)


def run(task: Task, folder: Path, *, stop: threading.Event | None = None) -> Answer:
    """The answer of a step that runs in the sandbox, in the new `folder`.

    Of a step that was ended it is what it has left until then, or nothing. Raises DesignError for
    a design of which no machine of bits can be made, ContradictionError, ToolError when it fails.
    """
    folder.mkdir(parents=True)
    task = replace(task, question=task.question.reduced())
    (folder / working.TASK).write_bytes(pickle.dumps(task))
    ended = process.run(
        [sys.executable, "-s", "-m", working.__name__, working.TASK],
        cwd=folder,
        log=folder / "step.log",
        limits=process.Limits(timeout_s=1.5 * task.budget_s + _GRACE_S, memory_bytes=_MEMORY_BYTES),
        writable=[folder],
        stop=stop,
    )
    limit = _LIMITS.get(ended.outcome, "")
    if limit and not (folder / working.ANSWER).is_file():
        return Answer(ended=limit)
    if not limit:
        ended.expect(f"the step '{task.kind}' of the check constant_time")
    try:
        answer = _ANSWER.validate_json((folder / working.ANSWER).read_bytes())
    except (OSError, ValueError) as error:
        raise ToolError(f"the step '{task.kind}' left no readable answer: {error}") from error
    if answer.unsupported:
        raise DesignError(f"{answer.src or 'design'}: {answer.unsupported}")
    if answer.contradiction:
        raise ContradictionError(answer.contradiction)
    return replace(answer, ended=limit)
