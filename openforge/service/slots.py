"""Slots: threads that take jobs from the queue and have them run, each by a worker of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from openforge.control import jobs
from openforge.control.database import Control
from openforge.control.records import Job
from openforge.errors import NotFound
from openforge.model import Stage, State
from openforge.record import JobRecord, read_job
from openforge.service import ends
from openforge.service.worker_process import WorkerProcess

_LOOK_AGAIN_S = 2.0  # a wake-up can be lost with a failed transaction, a job cannot
_log = logging.getLogger("openforge.service.slots")

Progress = dict[Stage, dict[str, str]]


class Slots:
    """Runs queued jobs, `count` at a time, until it is stopped.

    `changed` is called after each change in the control database, from the slots' threads;
    `may_start` is asked before a job is taken.
    """

    def __init__(
        self,
        control: Control,
        workspace: Path,
        *,
        count: int,
        changed: Callable[[], None],
        may_start: Callable[[], bool],
    ) -> None:
        self._control, self._workspace = control, workspace
        self._changed, self._may_start = changed, may_start
        self._wake = threading.Condition()
        self._stopping = self._requeue = False
        self._workers: dict[str, WorkerProcess] = {}
        self._progress: dict[str, Progress] = {}
        self._threads = [
            threading.Thread(target=self._serve, name=f"slot-{n}", daemon=True)
            for n in range(count)
        ]

    def start(self) -> None:
        """Start the threads; each has its worker ready before there is a job."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There may be a job to take."""
        with self._wake:
            self._wake.notify_all()

    @property
    def alive(self) -> bool:
        """Whether every slot still serves."""
        return all(thread.is_alive() for thread in self._threads)

    def progress(self, job_id: str) -> Mapping[Stage, Mapping[str, str]]:
        """What is known of the stages that are under way."""
        return self._progress.get(job_id, {})

    def stop(self, drain_s: float) -> None:
        """Take no more jobs, wait for the running ones, put back those that take too long."""
        self._stopping = True
        self.wake()
        end = time.monotonic() + drain_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._requeue = True
        for worker in list(self._workers.values()):
            worker.interrupt()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        worker, mine = self._new_worker(), None
        while not self._stopping or mine:
            try:
                if mine:  # a job whose end could not be written: full disk, locked database
                    ends.recover(self._control, self._record(mine), mine, crashed=True)
                    mine = None
                job = self._claim()
                if job is None:
                    self._sleep()
                    continue
                mine = job.id
                worker = worker if worker.alive else self._new_worker()
                self._run(worker, job)
                mine = None
            except Exception:  # the boundary of a job: whatever happens, the slot serves on
                _log.exception("a job could not be brought to its end; it will be looked at again")
                worker.kill()
                time.sleep(_LOOK_AGAIN_S)
                if self._stopping:  # the next start of the service looks at it
                    break
        worker.kill()

    def _sleep(self) -> None:
        with self._wake:
            if not self._stopping:
                self._wake.wait(_LOOK_AGAIN_S)

    def _new_worker(self) -> WorkerProcess:
        return WorkerProcess(self._workspace)

    def _claim(self) -> Job | None:
        if self._stopping or not self._may_start():
            return None
        with self._control.read() as connection:
            if not jobs.count(connection, State.QUEUED):
                return None
        with self._control.write() as connection:
            job = jobs.claim(connection)
        if job:
            self._changed()
        return job

    def _run(self, worker: WorkerProcess, job: Job) -> None:
        self._workers[job.id], self._progress[job.id] = worker, {}
        about = {"job_id": job.id, "attempt": job.attempt}
        _log.info("a job was started", extra=about)
        try:
            problem = None
            for event in worker.run(job.id, job.attempt):
                if event["type"] == "ended":
                    problem = event["problem"]
                else:
                    self._take(job.id, event)
            if problem is None:
                self._interrupted(job.id)
            else:
                ends.finish(self._control, self._record(job.id), job.id, problem)
                _log.info("a job has ended", extra=about)
        finally:
            del self._workers[job.id], self._progress[job.id]
            self._changed()

    def _interrupted(self, job_id: str) -> None:
        """The worker has died: the job goes back into the queue, if it may start again."""
        _log.warning("the worker of a job is gone", extra={"job_id": job_id})
        ends.recover(self._control, self._record(job_id), job_id, crashed=not self._requeue)

    def _record(self, job_id: str) -> JobRecord | None:
        try:
            return read_job(self._workspace / "runs" / job_id)
        except (NotFound, ValueError):
            return None

    def _take(self, job_id: str, event: Mapping[str, Any]) -> None:
        known = self._progress[job_id]
        stage = Stage(event["stage"])
        if event["type"] == "stage_complete":
            record = self._record(job_id)
            if record:
                # What cannot be recorded now is recorded at the job's end.
                with contextlib.suppress(OperationalError):
                    ends.end_stage(self._control, record, stage)
                self._changed()
        elif event["type"] == "progress":
            said = f"{event['done']}/{event['total']} {event['unit']}"
            known[stage] = {"status": State.RUNNING.value, "progress": said}
        else:
            known.setdefault(stage, {"status": State.RUNNING.value})
