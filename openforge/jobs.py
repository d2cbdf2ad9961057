"""Jobs: from a request to sealed run folders. One path for the CLI, REST and scripts."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue, ValidationError

from openforge import checks, config, resources, runner, snapshot
from openforge.check import Check
from openforge.errors import OpenForgeError
from openforge.event_log import Event, EventLog
from openforge.kernel import fork_server
from openforge.model import Result, Stage, State, Verdict, status_of
from openforge.record import CANCEL_FILE, PROJECT, JobFile, JobRecord, read_job
from openforge.run_folder import SUFFIX, RunFolder
from openforge.workspace import Workspace, owned, write_job

CHECK_TIMEOUT_S = 4 * 3600.0  # a last resort: every engine has limits of its own
_CANCEL_POLL_S = 0.2

_ENDINGS = {
    runner.Ending.CANCELLED: State.CANCELLED,
    runner.Ending.COMPLETED: State.DONE,
}


def submit(
    workspace: Workspace,
    project_dir: Path,
    stages: Sequence[str] | None = None,
    overrides: Mapping[str, JsonValue] | None = None,
    *,
    job_id: str | None = None,
    service: bool = False,
) -> JobRecord:
    """A queued job with a snapshot of the project; nothing has run yet.

    Without `stages` it is those of ``ci_integration.stages``, or all there are. `service` says
    that it waits for a service to run it, and under which `job_id`.
    Raises ConfigError for a bad project file or override, OpenForgeError for a bad stage, or for a
    check that the project asks for and that is not there.
    """
    settings = config.load(project_dir, overrides)
    asked = stages or settings.ci_integration.stages
    wanted = _stages(asked)
    if not asked:
        _require_known(settings)
    path = workspace.new_job_folder(job_id)
    file = JobFile(
        job_id=path.name,
        project=settings.project.name,
        source=str(project_dir),
        stages=wanted,
        checks={c.id: c.stage for c in checks.CHECKS if c.stage in wanted},
        overrides=dict(overrides or {}),
        submitted_at=_now(),
        service=service,
    )
    try:
        if service:  # so that it is known whose folder this is, however far it got
            write_job(path, file)
        snapshot.take(project_dir, path / PROJECT)
        snapshot.require_same(project_dir, path / PROJECT, config.patterns(settings))
        seen = {"files_sha256": snapshot.digest(path / PROJECT)} if service else {}
        write_job(path, file.model_copy(update=seen))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return read_job(path)


def run(
    job: JobRecord,
    *,
    workers: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    cancel: threading.Event | None = None,
    attempt: int = 1,
) -> JobRecord:
    """Run a queued job to its end, `workers` checks at a time (default: one a core).

    `on_event` gets every event as it happens, from several threads. Setting `cancel`, or
    `openforge cancel` in another process, stops it. A job that an earlier `attempt` was not able
    to finish keeps the checks that are sealed with a verdict; the others start anew.
    Raises OpenForgeError when the job is being run already, and OSError when its folder cannot be
    written; the record then says ``error``.
    """
    fork_server.warm()
    workers = workers or len(os.sched_getaffinity(0))
    stop = cancel or threading.Event()
    with owned(job.path), _cancelled_by_file(job.path, stop), EventLog(job.path, on_event) as log:
        begun = {"state": State.RUNNING, "started_at": _now(), "attempt": attempt}
        file = job.file.model_copy(update=begun)
        write_job(job.path, file)
        todo = _left_to_do(job, log)
        stages = _Stages(job, todo, log)
        with ThreadPoolExecutor(workers, thread_name_prefix="check") as pool:
            futures = [pool.submit(_check, job, c, log, stop, stages) for c in todo]
            problem = _await(futures, stop)
        if problem:
            end = {"state": State.ERROR, "finished_at": _now(), "error": str(problem)}
            with contextlib.suppress(OSError):  # a full disk; without it, the lock tells
                write_job(job.path, file.model_copy(update=end))
            raise problem
        state = State.CANCELLED if stop.is_set() else State.DONE
        write_job(job.path, file.model_copy(update={"state": state, "finished_at": _now()}))
    done = read_job(job.path)
    on_event({"type": "job_complete", "status": done.status})
    return done


def _left_to_do(job: JobRecord, log: EventLog) -> list[Check]:
    """The checks without a verdict; what an earlier attempt left of them is removed."""
    todo = []
    for check in map(checks.find, job.file.checks):
        record = job.check(check.id)
        if record.manifest and record.state is State.DONE:
            log.tell(
                {
                    "type": "log",
                    "stage": check.stage.value,
                    "check": check.id,
                    "level": "INFO",
                    "message": f"kept from an earlier attempt: {record.status}",
                }
            )
            continue
        for left_over in (job.path / check.id, job.path / f"{check.id}{SUFFIX}"):
            shutil.rmtree(left_over, ignore_errors=True)
        todo.append(check)
    return todo


class _Stages:
    """Tells the end of a stage: that of the last of its checks.

    A stage whose checks were all kept from an earlier attempt has ended when the job starts.
    """

    def __init__(self, job: JobRecord, todo: Sequence[Check], log: EventLog) -> None:
        self._job, self._log = job, log
        self._open = Counter(check.stage for check in todo)
        self._lock = threading.Lock()
        for stage in job.file.stages:
            if not self._open[stage]:
                self._tell(stage)

    def ended(self, stage: Stage) -> None:
        """One check of `stage` was sealed."""
        with self._lock:
            self._open[stage] -= 1
            if self._open[stage]:
                return
        self._tell(stage)

    def _tell(self, stage: Stage) -> None:
        status = read_job(self._job.path).stage_status(stage)
        self._log.tell({"type": "stage_complete", "stage": stage.value, "status": status})


def _await(futures: Sequence[Future[None]], stop: threading.Event) -> BaseException | None:
    """Wait for all of `futures`; the first problem, which stops the others."""
    first: BaseException | None = None
    for future in as_completed(futures):
        problem = future.exception()
        if problem and first is None:
            first = problem
            stop.set()
    return first


def _check(
    job: JobRecord, check: Check, log: EventLog, cancel: threading.Event, stages: _Stages
) -> None:
    """Run one check's notebook and seal its folder."""
    if cancel.is_set():
        return
    folder = RunFolder.create(job.path / f"{check.id}{SUFFIX}")
    started = _now()
    with log.open(folder.path, stage=check.stage.value, check=check.id) as emit:
        emit({"type": "state", "state": State.RUNNING.value})
        outcome = runner.execute(
            runner.Execution(
                notebook=resources.folder("notebooks") / "checks" / f"{check.id}.ipynb",
                output=folder.path / "notebook.ipynb",
                parameters={"project_dir": f"../{PROJECT}", "overrides": job.file.overrides},
                cwd=folder.path,
                timeout_s=CHECK_TIMEOUT_S,
                env={checks.RUN_DIR: str(folder.path)},
            ),
            on_event=emit,
            cancel=cancel,
        )
        state, verdict, error = _conclude(folder, outcome)
        if error:
            emit({"type": "log", "level": "ERROR", "message": error})
        emit({"type": "check_complete", "status": status_of(state, verdict)})
    folder.seal(check.id, state, verdict, error, started, outcome.duration_s)
    stages.ended(check.stage)


def _conclude(folder: RunFolder, outcome: runner.Outcome) -> tuple[State, Verdict | None, str]:
    """State, verdict and error of a check: a verdict only if the whole notebook ran."""
    state = _ENDINGS.get(outcome.ending, State.ERROR)
    if state is not State.DONE:
        return state, None, outcome.error
    try:
        text = (folder.path / "result.json").read_text(encoding="utf-8")
        result = Result.model_validate_json(text)
    except (OSError, ValidationError) as problem:
        return State.ERROR, None, f"the notebook ended without a valid result: {problem}"
    error = result.reason if result.state is State.ERROR else ""
    return result.state, result.verdict, error


def _stages(names: Sequence[str]) -> tuple[Stage, ...]:
    """`names` as stages in flow order, all of which have checks. Raises OpenForgeError."""
    there = list(dict.fromkeys(check.stage for check in checks.CHECKS))
    for name in names:
        if name not in there:
            known = ", ".join(there)
            raise OpenForgeError(f"there is no check for stage '{name}' here; stages are: {known}")
    return tuple(stage for stage in there if not names or stage in names)


def _require_known(settings: config.Config) -> None:
    """Raises OpenForgeError if the project enables a check that would silently not be run."""
    known = {check.id for check in checks.CHECKS}
    crypto = settings.verification.crypto_verification
    for name in type(crypto).model_fields:
        section = getattr(crypto, name)
        asked = name in crypto.model_fields_set and hasattr(section, "enabled")
        if name not in known and asked and section.enabled is not False:
            raise OpenForgeError(
                f"verification.crypto_verification.{name} is asked for, but there is no such check "
                "here; write 'enabled: false', or name the stages to run"
            )


@contextlib.contextmanager
def _cancelled_by_file(path: Path, stop: threading.Event) -> Iterator[None]:
    """Set `stop` when another process leaves word in the job's folder."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_CANCEL_POLL_S):
            if (path / CANCEL_FILE).exists():
                stop.set()
                return

    thread = threading.Thread(target=watch, name="cancel-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
