"""The files that a job left, under the names that people ask for.

A file is named ``<check>/<name>``; the last part of its name will do where only one has it. Names
are looked up in the manifests and never become paths.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openforge.errors import NotFound
from openforge.record import REPORT, CheckRecord, JobRecord
from openforge.view_rows import rows

_FOLDER = "artifacts/"
WAVEFORM = "trace.fst"  # the contract's name for the waveform that is looked at first


@dataclass(frozen=True)
class JobArtifact:
    """A file of a job. `sha256` is that of the sealed record; a report is made from it anew."""

    name: str
    path: Path
    size_bytes: int
    media_type: str
    sha256: str | None


def listing(job: JobRecord) -> list[JobArtifact]:
    """All files of the checks that have ended, and the report."""
    found = [artifact for check in job.checks for artifact in _of_check(check)]
    page = job.path / REPORT
    if page.is_file():
        found.append(JobArtifact(REPORT, page, page.stat().st_size, "text/html", None))
    return found


def find(job: JobRecord, name: str) -> JobArtifact:
    """The artifact called `name`. Raises NotFound, naming what is near."""
    there = listing(job)
    exact = [artifact for artifact in there if artifact.name == name]
    short = [artifact for artifact in there if artifact.name.rpartition("/")[2] == name]
    found = exact or short
    if not found and name == WAVEFORM:
        found = _waveform(job, there)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(artifact.name for artifact in found[:5])
        raise NotFound(f"{len(found)} artifacts are called {name!a}; say which: {names}")
    near = difflib.get_close_matches(name[:200], [a.name for a in there], n=1, cutoff=0.3)
    hint = f"; did you mean {near[0]!a}?" if near else ""
    raise NotFound(f"job {job.id} has no artifact {name[:200]!a}{hint}")


def _of_check(check: CheckRecord) -> Iterator[JobArtifact]:
    for file in check.manifest.files if check.manifest else ():
        short = file.name.removeprefix(_FOLDER)
        yield JobArtifact(
            f"{check.id}/{short}",
            check.path / file.name,
            file.size_bytes,
            file.media_type,
            file.sha256,
        )


def _waveform(job: JobRecord, there: list[JobArtifact]) -> list[JobArtifact]:
    """The waveform of the first failure, or failing that the first there is."""
    waves = [artifact for artifact in there if artifact.name.endswith(".fst")]
    bad = [
        f"{check.id}/{row['waveform'].removeprefix(_FOLDER)}"
        for check in job.checks
        for table in ("tests", "properties")
        if check.manifest
        for row in rows(check, table)
        if row.get("waveform") and row["status"] == "failed"
    ]
    failed = [artifact for artifact in waves if artifact.name in bad]
    return (failed or waves)[:1]
