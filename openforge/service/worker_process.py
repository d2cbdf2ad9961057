"""The service's side of a worker process: start it, order jobs, hear of them, end it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openforge.tools.process import kill_tree

_ZYGOTE_END_S = 10.0


class WorkerProcess:
    """A running worker. Must be made by the thread that uses it: it dies with that thread."""

    def __init__(self, workspace: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "openforge.service.worker", str(workspace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._zygote: int | None = None

    @property
    def alive(self) -> bool:
        """Whether it can take an order."""
        return self._process.poll() is None

    def run(self, job_id: str, attempt: int) -> Iterator[dict[str, Any]]:
        """The events of a job until it has ended; a last one of type ``ended`` if it has.

        Without that the worker has died, and nothing of the job runs any more.
        """
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"job": job_id, "attempt": attempt}) + "\n")
            self._process.stdin.flush()
            for line in self._process.stdout:
                if not line.endswith("\n"):
                    break  # it was killed while it wrote
                event = json.loads(line)
                if event["type"] == "ready":
                    self._watch(event["zygote"])
                    continue
                yield event
                if event["type"] == "ended":
                    return
        except BrokenPipeError:
            pass  # it has died before it could take the order
        self.kill()

    def interrupt(self) -> None:
        """Kill it, from any thread; `run` hears of it and cleans up."""
        kill_tree(self._process.pid)

    def kill(self) -> None:
        """End it and everything below it; returns when nothing of it is left."""
        if self.alive:
            self.interrupt()
        self._process.wait()
        if self._zygote is not None:  # it kills kernels and tools when its runner is gone
            poll = select.poll()  # select() takes no descriptor beyond 1023
            poll.register(self._zygote, select.POLLIN)
            poll.poll(_ZYGOTE_END_S * 1000)
            os.close(self._zygote)
            self._zygote = None
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _watch(self, zygote: int) -> None:
        try:
            self._zygote = os.pidfd_open(zygote) if zygote else None
        except ProcessLookupError:
            self._zygote = None
