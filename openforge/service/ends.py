"""From run folders to the control database: how stages and jobs ended, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from openforge.control import jobs
from openforge.control.database import Control, now
from openforge.control.records import Job, StageEnd
from openforge.model import Stage, State, Verdict
from openforge.record import CheckRecord, JobRecord
from openforge.workspace import write_job

_COUNTED = ("tests_passed", "tests_failed", "properties_proven", "properties_failed")


def end_stage(control: Control, record: JobRecord, stage: Stage) -> None:
    """Record the end of one stage, if all of its checks have ended."""
    checks = [check for check in record.checks if check.stage is stage]
    if checks and all(check.manifest for check in checks):
        end = StageEnd(stage=stage, status=record.stage_status(stage), duration_s=_span(checks))
        with control.write() as connection:
            jobs.stage_ended(connection, record.id, end, summary(checks))


def finish(control: Control, record: JobRecord | None, job_id: str, problem: str) -> None:
    """Record the end of a job as its folder tells it; both say the same afterwards."""
    if record is None:
        gone = problem or "the run folder is gone or cannot be read"
        with control.write() as connection:
            jobs.finish(connection, job_id, State.ERROR, "error", error=gone)
        return
    for stage in record.file.stages:
        end_stage(control, record, stage)
    state = record.file.state if record.file.state.final else State.ERROR
    status = record.status if record.file.state.final else State.ERROR.value
    error = record.file.error or problem
    with control.write() as connection:
        jobs.finish(connection, job_id, state, status, summary=summary(record.checks), error=error)
        job = jobs.get(connection, job_id)
    settle(record, job)


def settle(record: JobRecord, job: Job) -> None:
    """Have the folder of a job that was ended for its runner say so, too."""
    if job.state.final and not record.file.state.final:
        end = {"state": job.state, "error": job.error, "finished_at": now()}
        write_job(record.path, record.file.model_copy(update=end))


def recover(control: Control, record: JobRecord | None, job_id: str, *, crashed: bool) -> None:
    """Decide about a job whose runner is gone: it has ended, starts again, or did so too often."""
    if record is None or record.file.state.final:
        finish(control, record, job_id, "")
        return
    with control.write() as connection:
        again = jobs.requeue(connection, job_id, crashed=crashed)
        job = jobs.get(connection, job_id)
    if again:
        settle(record, job)  # it had ended, or was to be cancelled
    else:
        starts = jobs.MAX_RESTARTS + 1
        finish(control, record, job_id, f"interrupted: its runner went away in {starts} attempts")


def summary(checks: Sequence[CheckRecord]) -> jobs.Summary:
    """The numbers of a webhook's ``summary``: those that the stages of `checks` have."""
    found: jobs.Summary = {}
    for check in checks:
        facts = check.result.summary if check.manifest and check.result else {}
        found |= {name: facts[name] for name in _COUNTED if name in facts}
    crypto = [check for check in checks if check.stage is Stage.CRYPTO]
    if crypto:
        found["crypto_checks_passed"] = sum(c.verdict is Verdict.PASSED for c in crypto)
    return found


def _span(checks: Sequence[CheckRecord]) -> float:
    """Seconds from the start of the first check to the end of the last one."""
    manifests = [check.manifest for check in checks if check.manifest]
    starts = [datetime.fromisoformat(m.started_at).timestamp() for m in manifests]
    stops = [start + m.duration_s for start, m in zip(starts, manifests, strict=True)]
    return max(stops) - min(starts)
