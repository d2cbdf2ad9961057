"""What follows a job that has ended, whoever ran it: its report and its place in the index."""

from __future__ import annotations

from openforge import report, results
from openforge.errors import OpenForgeError
from openforge.record import REPORT, JobRecord
from openforge.workspace import Workspace


def write_report(job: JobRecord) -> None:
    """Leave ``report.html`` in the job's folder."""
    (job.path / REPORT).write_bytes(report.report(job, report.Format.HTML))


def index(workspace: Workspace, job: JobRecord) -> str:
    """Put the job into the results database; why not, when that is not possible now.

    The run folders are the record: `openforge sql` puts in what is missing.
    """
    try:
        results.index(workspace.path, job)
    except OpenForgeError as error:
        return str(error)
    return ""
