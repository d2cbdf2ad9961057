"""A worker: a process that runs jobs one after the other, with a warm zygote.

    python -m openforge.service.worker WORKSPACE

Orders come as JSON lines on stdin (``{"job": <id>, "attempt": 1}``), events leave as JSON lines on
stdout; after each job ``{"type": "ended", "problem": ""}``. It dies with the thread that started
it, and its kernels and tools die with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import IO

from pydantic import JsonValue

_PR_SET_PDEATHSIG = 1
_NICENESS = 5  # answers to requests come before verification
_PASSED_ON = ("state", "progress", "stage_complete")


def main() -> None:
    """Serve orders until stdin is closed."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        return
    os.nice(_NICENESS)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints must not be taken for an answer
    worker = _Worker(Path(sys.argv[1]), answers)
    worker.warm()
    for line in sys.stdin:
        order = json.loads(line)
        worker.run(order["job"], order["attempt"])


class _Worker:
    def __init__(self, workspace: Path, answers: IO[str]) -> None:
        from openforge.workspace import Workspace

        self._workspace = Workspace(workspace)
        self._answers = answers
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Have everything ready that the first job needs; tells which zygote it has."""
        from openforge import conclude, jobs
        from openforge.kernel import fork_server

        del conclude, jobs
        try:
            self._tell({"type": "ready", "zygote": fork_server.ForkServer.shared().process.pid})
        except fork_server.ForkUnavailable:
            self._tell({"type": "ready", "zygote": 0})

    def run(self, job_id: str, attempt: int) -> None:
        """Run a job to its end and write its report; what goes wrong is told, not raised."""
        from openforge import conclude, jobs
        from openforge.errors import OpenForgeError
        from openforge.record import read_job

        problem = ""
        try:
            job = jobs.run(
                read_job(self._workspace.runs / job_id),
                on_event=self._pass_on,
                attempt=attempt,
            )
            conclude.write_report(job)
        except (OpenForgeError, OSError) as error:
            problem = str(error) or type(error).__name__
        except Exception as error:  # the boundary of a job: a fault of ours ends it, not the worker
            traceback.print_exc()
            problem = f"{type(error).__name__}: {error}"
        self._tell({"type": "ended", "problem": problem})
        if not problem:
            try:
                conclude.index(self._workspace, job)
            except Exception:  # the job has ended: this is no fault of the next one
                traceback.print_exc()  # and the next query puts it into the index

    def _pass_on(self, event: dict[str, JsonValue]) -> None:
        if event["type"] in _PASSED_ON:
            self._tell(event)

    def _tell(self, message: dict[str, JsonValue]) -> None:
        with self._lock:
            self._answers.write(json.dumps(message) + "\n")
            self._answers.flush()


if __name__ == "__main__":
    main()
