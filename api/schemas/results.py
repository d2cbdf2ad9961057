"""What a job concluded: verdicts, coverage, artifacts, reports."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from api.schemas.common import (
    JOB,
    Absent,
    Address,
    Answer,
    Body,
    Status,
    absent,
    example,
)
from openforge.model import Stage
from openforge.report import Format

_STAGES = {
    "lint": {"status": "passed", "warnings": 2, "errors": 0},
    "simulation": {
        "status": "passed",
        "tests_passed": 10,
        "tests_failed": 0,
        "coverage": {"line": 96.4, "toggle": 89.7, "fsm": 100.0},
    },
    "formal": {
        "status": "passed",
        "properties_proven": 4,
        "properties_failed": 0,
        "properties_inconclusive": 0,
    },
}
_CRYPTO = {
    "constant_time": {"status": "passed", "violations": 0},
    "side_channel": {"status": "passed", "max_t_value": 2.31, "threshold": 4.5},
    "ntt_validation": {"status": "passed", "mismatches": 0},
    "fips_compliance": {"status": "skipped", "reason": "No key storage detected"},
    "entropy_analysis": {"status": "skipped", "reason": "No entropy sources detected"},
}
_ARTIFACT = {
    "name": "simulation/coverage.xml",
    "size_bytes": 1834,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "media_type": "application/xml",
    "url": f"/api/v1/jobs/{JOB}/artifacts/simulation/coverage.xml",
}


class CheckResult(Answer):
    """What a check concluded, with the numbers that it counts."""

    model_config = ConfigDict(extra="allow", json_schema_serialization_defaults_required=False)

    status: Status
    reason: str | Absent = absent("why it is anything but `passed`")


class LintResult(CheckResult):
    """What linting found. The numbers are there once it has ended with a verdict."""

    warnings: int | Absent = absent("warnings that are not waived")
    errors: int | Absent = absent("errors that are not waived")


class SimulationResult(CheckResult):
    """What the testbenches found. The numbers are there once it has ended with a verdict."""

    tests_passed: int | Absent = absent("tests that passed")
    tests_failed: int | Absent = absent("tests that did not; one without a verdict is among them")
    coverage: dict[str, float | None] | Absent = absent(
        "percent by kind (`line`, `branch`, `toggle`, `fsm`); null where there is nothing to cover"
    )


class FormalResult(CheckResult):
    """What the proofs found. The numbers are there once it has ended with a verdict."""

    properties_proven: int | Absent = absent("properties that hold, covers that were reached")
    properties_failed: int | Absent = absent("properties with a counterexample")
    properties_inconclusive: int | Absent = absent("properties that nothing could be said of")


class StageResults(Answer):
    """Results by stage; those of the job's stages are there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    lint: LintResult | Absent = absent("of the stage `lint`")
    simulation: SimulationResult | Absent = absent("of the stage `simulation`")
    formal: FormalResult | Absent = absent("of the stage `formal`")
    crypto: dict[str, CheckResult] | Absent = absent("of the stage `crypto`, by check")


class Results(Answer):
    """What a job concluded; stages that have not ended show their state."""

    model_config = example(
        job_id=JOB, overall_status="passed", stages={**_STAGES, "crypto": _CRYPTO}
    )

    job_id: str = Field(description="the job")
    overall_status: Status = Field(description="the worst of all stages")
    stages: StageResults


class CryptoResults(Answer):
    """What the crypto checks of a job concluded, by check."""

    model_config = example(job_id=JOB, overall_status="passed", crypto=_CRYPTO)

    job_id: str = Field(description="the job")
    overall_status: Status = Field(description="the worst of all stages of the job")
    crypto: dict[str, CheckResult] = Field(description="by check")


class CoverageShare(Answer):
    """How much of one kind was reached."""

    percent: float = Field(description="rounded down to a tenth")
    hit: int = Field(description="points that were reached")
    of: int = Field(description="points that there are")


class CoverageFile(Answer):
    """Coverage of one source file."""

    name: str = Field(description="its name in the project")
    kinds: dict[str, CoverageShare] = Field(
        description="by kind: `line`, `branch`, `toggle`, `fsm_state`, `fsm_arc`, `user`"
    )
    missed_lines: str = Field(description='lines that were not reached: "4-6, 9"')


class Coverage(Answer):
    """Coverage of a job's simulation, percent by kind."""

    model_config = example(
        job_id=JOB,
        coverage={"line": 96.4, "toggle": 89.7, "fsm": 100.0},
        goals={"line": 95.0},
        files=[
            {
                "name": "rtl/ntt_butterfly.sv",
                "kinds": {"line": {"percent": 96.4, "hit": 54, "of": 56}},
                "missed_lines": "41-42",
            }
        ],
    )

    job_id: str = Field(description="the job")
    coverage: dict[str, float] = Field(description="percent by kind; kinds with points only")
    goals: dict[str, float] = Field(description="what the project file asks for, by kind")
    files: list[CoverageFile] = Field(description="by name")


class Artifact(Answer):
    """A file that a job left."""

    model_config = example(**_ARTIFACT)

    name: str = Field(description="`<check>/<file>`, or `report.html`")
    size_bytes: int = Field(description="how large it is")
    sha256: str | None = Field(description="of its content; null for the report")
    media_type: str = Field(description="what kind of file it is")
    url: Address = Field(description="where it can be downloaded")


class Artifacts(Answer):
    """All files that a job left."""

    model_config = example(job_id=JOB, artifacts=[_ARTIFACT], total=1)

    job_id: str = Field(description="the job")
    artifacts: list[Artifact] = Field(description="in the order of the flow")
    total: int = Field(description="how many there are")


class ReportCreate(Body):
    """Which report is wanted; `{}` is the whole job as HTML."""

    model_config = example(format="html", include=["simulation", "formal"], template=None)

    format: Annotated[Format, Field(strict=False)] = Field(
        Format.HTML, description="what kind of file"
    )
    include: Annotated[list[Annotated[Stage, Field(strict=False)]], Field(max_length=10)] | None = (
        Field(None, description="stages to show; default: all of the job")
    )
    template: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="name of a template that the operator keeps in the workspace"
    )


class JsonReport(Results):
    """A report as JSON: the results of the stages asked for, and what they rest on."""

    model_config = example(
        job_id=JOB,
        overall_status="passed",
        stages={"lint": _STAGES["lint"]},
        project="ntt-butterfly",
        overrides={"verification.simulation.coverage": True},
        left_out=["simulation", "formal"],
        checks={
            "lint": {
                "status": "passed",
                "error": "",
                "duration_s": 2.1,
                "altered": [],
                "result": None,
                "tests": [],
                "properties": [],
                "artifacts": [],
            }
        },
    )

    project: str = Field(description="the project's name")
    overrides: dict[str, JsonValue] = Field(description="what differs from the project file")
    left_out: list[str] = Field(description="checks of the job that were not asked for")
    checks: dict[str, dict[str, JsonValue]] = Field(
        description="findings, tests, properties, provenance and files, by check; `altered` names "
        "what was changed after the check was sealed"
    )
