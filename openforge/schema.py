"""The schema of ``openforge.yaml`` as frozen models. Reading the file is `config`'s business."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from openforge.schema_base import (
    Depth,
    Globs,
    Name,
    Percent,
    Seconds,
    Section,
    Seed,
    Text,
    Version,
)
from openforge.schema_crypto import CryptoSection

FormalEngine = Literal["smtbmc z3", "smtbmc bitwuzla", "smtbmc yices", "abc pdr", "abc bmc3"]


class ProjectSection(Section):
    """What the project is called."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]{1,100}$", description="letters, digits, hyphens")
    top_module: Name = Field(description="the module that is verified")
    target_pdk: Literal["sky130", "gf180mcu", "ihp-sg13g2", "gf22fdx"] | None = Field(
        None, description="process design kit"
    )
    description: str = Field("", max_length=10_000, description="one line for people")
    version: Version = Field("", description="version of the design")
    language: Literal["v2005", "sv2012", "sv2017"] | None = Field(
        None, description="language of all sources; default: by file ending"
    )


class DesignSection(Section):
    """Which files make up the design."""

    sources: Globs = Field(min_length=1, description="globs of the RTL, inside the project")
    includes: Globs = Field((), description="folders for `include")
    exclude: Globs = Field((), description="globs of files to leave out of `sources`")
    constraints: Globs = Field((), description="timing constraints (SDC)")
    defines: dict[Name, Text] = Field({}, description="preprocessor macros")
    parameters: dict[Name, Text] = Field({}, description="values of the top module's parameters")


class LintSection(Section):
    """The check `lint`."""

    tools: tuple[Literal["verilator", "slang", "verible"], ...] = Field(
        ("verilator", "slang"), min_length=1, description="linters to run"
    )
    waivers: Globs = Field((), description="waiver files: rule, place, and a reason (required)")
    fail_on: Literal["error", "warning"] = Field(
        "error", description="the lightest finding that fails the check"
    )

    @field_validator("tools")
    @classmethod
    def _available(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        if "verible" in tools:
            raise ValueError("verible is not supported yet; use verilator and slang")
        return tools


class CoverageSection(Section):
    """Which kinds of coverage are measured; ``true`` and ``false`` stand for all and none."""

    line: bool = Field(True, description="lines executed")
    toggle: bool = Field(True, description="bits that went up and down")
    branch: bool = Field(True, description="branches taken")
    fsm: bool = Field(True, description="states and arcs of state machines")
    user: bool = Field(True, description="cover properties")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return dict.fromkeys(cls.model_fields, value) if isinstance(value, bool) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [handler(core), {"type": "boolean"}]}


class CoverageGoals(Section):
    """Percentages that must be reached; a goal that is missed fails the check."""

    line: Percent | None = Field(None, description="percent of lines")
    toggle: Percent | None = Field(None, description="percent of bits")
    branch: Percent | None = Field(None, description="percent of branches")
    fsm: Percent | None = Field(None, description="percent of states and arcs")
    user: Percent | None = Field(None, description="percent of cover properties")


class SimulationSection(Section):
    """The check `simulation`."""

    tool: Literal["verilator", "icarus"] = Field("verilator", description="simulator")
    testbenches: Globs = Field((), description="cocotb modules and SystemVerilog benches")
    coverage: CoverageSection = Field(CoverageSection(), description="kinds of coverage")
    coverage_goals: CoverageGoals = Field(CoverageGoals(), description="goals in percent")
    plusargs: dict[Name, Text] = Field({}, description="+NAME=value for the simulator")
    waves: bool = Field(
        False, description="keep the waveform of every test, not only of failing ones"
    )
    seed: Seed = Field(1, description="seed of the first run of each test")
    seeds: int = Field(1, ge=1, le=1000, description="run every test with seed, seed+1, ...")
    timeout_seconds: Seconds = Field(300, description="time limit of one test, seconds")

    @model_validator(mode="after")
    def _goals_are_measured(self) -> SimulationSection:
        for kind in CoverageGoals.model_fields:
            if getattr(self.coverage_goals, kind) is not None and not getattr(self.coverage, kind):
                raise ValueError(f"there is a goal for {kind} coverage, which is switched off")
        return self


class FormalSection(Section):
    """The check `formal`."""

    tool: Literal["symbiyosys"] = Field("symbiyosys", description="proof tool")
    properties: Globs = Field((), description="modules with properties, bound to the design")
    engines: tuple[FormalEngine, ...] = Field(
        ("smtbmc z3", "smtbmc bitwuzla", "abc pdr"), min_length=1, description="engines to use"
    )
    mode: Literal["prove", "bmc", "cover", "all"] = Field("prove", description="what to look for")
    depth: Depth = Field(100, description="cycles of the bounded search")
    timeout_seconds: Seconds = Field(600, description="time limit of the check, seconds")


class VerificationSection(Section):
    """What is checked, and how."""

    lint: LintSection = Field(LintSection(), description="lint")
    simulation: SimulationSection = Field(SimulationSection(), description="simulation")
    formal: FormalSection = Field(FormalSection(), description="formal verification")
    crypto_verification: CryptoSection = Field(CryptoSection(), description="crypto checks")


class TimingSection(Section):
    """Static timing analysis."""

    tool: Literal["opensta"] = Field("opensta", description="analyser")
    clock_period: float | None = Field(None, gt=0, le=1e9, description="clock period, ns")


class AnalysisSection(Section):
    """Analyses beside verification."""

    timing: TimingSection = Field(TimingSection(), description="timing")


class CiSection(Section):
    """What a CI run does."""

    stages: tuple[Literal["lint", "simulation", "formal", "crypto"], ...] = Field(
        (), description="stages to run; default: all there are"
    )
    fail_on: tuple[Literal["failed", "error", "inconclusive"], ...] = Field(
        ("failed", "error"), description="what makes CI red"
    )


class Config(Section):
    """The whole of ``openforge.yaml``."""

    project: ProjectSection = Field(description="what the project is called")
    design: DesignSection = Field(description="which files make up the design")
    verification: VerificationSection = Field(VerificationSection(), description="what is checked")
    analysis: AnalysisSection = Field(AnalysisSection(), description="other analyses")
    ci_integration: CiSection = Field(CiSection(), description="CI")


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``openforge.yaml``."""
    return Config.model_json_schema(by_alias=True)
