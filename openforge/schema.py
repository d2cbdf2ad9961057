"""The schema of ``openforge.yaml`` as frozen models. Reading the file is `config`'s business."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

_POWER = re.compile(r"2\^(-?\d+)")
_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_$]*$"


def _inside(pattern: str) -> str:
    """A glob or path that stays inside the project. Raises ValueError."""
    path = PurePosixPath(pattern)
    if not pattern or path.is_absolute() or ".." in path.parts or "\0" in pattern:
        raise ValueError("must be a relative path inside the project, without '..'")
    return pattern


def _power_of_two(value: Any) -> Any:
    """Accept ``2^-30`` for a number, as the literature writes it."""
    match = _POWER.fullmatch(value.strip()) if isinstance(value, str) else None
    return 2.0 ** int(match[1]) if match and abs(int(match[1])) < 1000 else value


def _text(value: Any) -> Any:
    """Accept a number where a text is wanted: YAML reads ``WIDTH: 12`` as one."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value) if isinstance(value, int | float) else value


Glob = Annotated[str, AfterValidator(_inside)]
Globs = tuple[Glob, ...]
Name = Annotated[str, Field(pattern=_IDENTIFIER)]
Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[float, BeforeValidator(_power_of_two)]
Probability = Annotated[Number, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600)]
Percent = Annotated[float, Field(ge=0, le=100)]
Modulus = Annotated[int, Field(ge=2)]
FormalEngine = Literal["smtbmc z3", "smtbmc bitwuzla", "smtbmc yices", "abc pdr", "abc bmc3"]


class Section(BaseModel):
    """A part of the project file; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ProjectSection(Section):
    """What the project is called."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]{1,100}$", description="letters, digits, hyphens")
    top_module: Name = Field(description="the module that is verified")
    target_pdk: Literal["sky130", "gf180mcu", "ihp-sg13g2", "gf22fdx"] | None = Field(
        None, description="process design kit"
    )
    description: str = Field("", max_length=10_000, description="one line for people")
    version: Text = Field("", description="version of the design")
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
    seed: int = Field(1, ge=0, lt=1 << 32, description="seed of the first run of each test")
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
    depth: int = Field(100, ge=1, le=100_000, description="cycles of the bounded search")
    timeout_seconds: Seconds = Field(600, description="time limit of the check, seconds")


class ResetSection(Section):
    """A reset and how it is applied."""

    signal: Name = Field(description="port")
    active: Literal["low", "high"] = Field("low", description="polarity")
    cycles: int = Field(2, ge=1, le=10_000, description="cycles it is held")


class ArithmeticShares(Section):
    """x = sum of the shares modulo `modulus`."""

    of: tuple[str, ...] = Field(min_length=2, description="signals that carry the shares")
    modulus: Modulus = Field(description="modulus of the sharing")


class StartSection(Section):
    """What begins an operation."""

    signal: Name = Field(description="port")


class DoneSection(Section):
    """What ends an operation: a signal, or a fixed number of cycles."""

    signal: Name | None = Field(None, description="port")
    cycles: int | None = Field(None, ge=1, description="cycles after start")

    @model_validator(mode="after")
    def _one_of_them(self) -> DoneSection:
        if (self.signal is None) == (self.cycles is None):
            raise ValueError("needs either 'signal' or 'cycles'")
        return self


class Declassified(Section):
    """A signal that may depend on a secret, by specification."""

    signal: str = Field(description="signal")
    reason: str = Field(min_length=1, description="why that is right")


class InterfaceSection(Section):
    """The one security annotation; everything but `secrets` can be inferred."""

    clock: Name | None = Field(None, description="clock port")
    reset: ResetSection | None = Field(None, description="reset")
    secrets: tuple[str, ...] = Field((), description="ports, bit ranges, registers, memories")
    public: tuple[str, ...] = Field((), description="inputs that an attacker may know")
    randoms: tuple[str, ...] = Field((), description="fresh randomness")
    shares: dict[Name, tuple[str, ...] | ArithmeticShares] = Field(
        {}, description="secrets carried by shares: Boolean, or arithmetic with a modulus"
    )
    start: StartSection | None = Field(None, description="begins an operation")
    done: DoneSection | None = Field(None, description="ends an operation")
    observables: tuple[str, ...] = Field((), description="what an attacker sees of the timing")
    constants: dict[Name, int] = Field({}, description="inputs held at a value")
    assume: tuple[str, ...] = Field((), description="Verilog expressions over public inputs")
    declassify: tuple[Declassified, ...] = Field((), description="allowed to depend on secrets")


class ConstantTimeSection(Section):
    """The check `constant_time`."""

    enabled: bool = Field(True, description="run it")
    secrets: tuple[str, ...] = Field((), description="short for interface.secrets")
    public: tuple[str, ...] = Field((), description="short for interface.public")
    depth: int = Field(200, ge=1, le=100_000, description="cycles of the bounded search")
    timeout_seconds: Seconds = Field(300, description="time limit, seconds")


class CpaSection(Section):
    """Correlation power analysis."""

    target: str = Field(description="leakage function, e.g. aes128_first_round")


class SideChannelSection(Section):
    """The check `side_channel`."""

    enabled: bool = Field(True, description="run it")
    power_model: Literal["hamming_distance", "hamming_weight", "toggle_count"] = Field(
        "hamming_distance", description="how power follows from values"
    )
    test: Literal["fixed_vs_random", "random_vs_random"] = Field(
        "fixed_vs_random", description="what is compared"
    )
    tvla_threshold: float = Field(4.5, gt=0, description="threshold of |t| (ISO/IEC 17825)")
    orders: tuple[Annotated[int, Field(ge=1, le=3)], ...] = Field(
        (1,), min_length=1, description="statistical orders"
    )
    num_traces: int = Field(10_000, ge=1, description="traces to simulate")
    noise_stddev: float = Field(0.0, ge=0, description="Gaussian noise, in units of the model")
    cpa: CpaSection | None = Field(None, description="key recovery by correlation")
    seed: int = Field(1, ge=0, description="seed of the stimuli")


class CustomRing(Section):
    """An NTT that no standard names."""

    q: Modulus = Field(description="modulus")
    n: int = Field(ge=2, description="length")
    zeta: int = Field(ge=1, description="primitive root of unity")


class NttSection(Section):
    """The check `ntt_validation`."""

    enabled: bool = Field(True, description="run it")
    standard: Literal["ml-kem", "ml-dsa"] | CustomRing | None = Field(
        None, description="ml-kem (kyber), ml-dsa (dilithium), or {q, n, zeta}"
    )
    unit: Literal["butterfly", "modmul", "reduction", "transform"] | None = Field(
        None, description="what the top module computes; inferred where possible"
    )
    exhaustive: bool = Field(True, description="all inputs (also spelled exhaustive_test)")

    @model_validator(mode="before")
    @classmethod
    def _other_spelling(cls, value: Any) -> Any:
        if isinstance(value, dict) and "exhaustive_test" in value and "exhaustive" not in value:
            value = dict(value)
            value["exhaustive"] = value.pop("exhaustive_test")
        return value

    @field_validator("standard", mode="before")
    @classmethod
    def _older_names(cls, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"custom"}:
            return value["custom"]
        older = {"kyber": "ml-kem", "dilithium": "ml-dsa"}
        return older.get(value, value) if isinstance(value, str) else value


class ZeroizeSection(Section):
    """How keys are erased."""

    signal: Name = Field(description="port that asks for it")
    within_cycles: int = Field(16, ge=1, description="cycles it may take")


class SelfTestSection(Section):
    """Where the self-test reports."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    done: Name = Field(description="it has ended")
    pass_: Name = Field(alias="pass", description="it has passed")


class ErrorStateSection(Section):
    """The error state."""

    signal: Name = Field(description="port that shows it")
    cleared_by: Text = Field("reset", description="what leaves it")


class HealthTestsSection(Section):
    """Health tests of a noise source (SP 800-90B, section 4.4)."""

    samples: Name = Field(description="raw samples")
    valid: Name | None = Field(None, description="a sample is there")
    alarm: Name | None = Field(None, description="a test has failed")
    h_min: float = Field(gt=0, description="claimed min-entropy, bits per sample")
    alpha: Probability = Field(2.0**-30, description="false positive probability")
    window: int = Field(1024, ge=2, description="window of the adaptive proportion test, samples")


class FipsSection(Section):
    """The check `fips_compliance`."""

    enabled: bool = Field(True, description="run it")
    level: int = Field(1, ge=1, le=4, description="FIPS 140-3 security level")
    checks: tuple[
        Literal["key_zeroization", "self_test", "error_state", "key_isolation", "rng_health_tests"],
        ...,
    ] = Field((), description="which ones; default: all that apply")
    zeroize: ZeroizeSection | None = Field(None, description="key erasure")
    self_test: SelfTestSection | None = Field(None, description="self-test")
    error: ErrorStateSection | None = Field(None, description="error state")
    outputs: tuple[Name, ...] = Field((), description="data outputs, closed in the error state")
    health_tests: HealthTestsSection | None = Field(None, description="noise source tests")


class EntropySection(Section):
    """The check `entropy_analysis`."""

    enabled: bool = Field(True, description="run it")
    sources: tuple[str, ...] = Field((), description="raw noise signals")
    sinks: tuple[str, ...] = Field((), description="where it is used")
    samples: Glob | None = Field(None, description="recorded raw noise (SP 800-90B)")
    bits_per_symbol: int = Field(8, ge=1, le=8, description="bits of a recorded symbol")


class CryptoSection(Section):
    """The checks of the stage `crypto`."""

    interface: InterfaceSection = Field(InterfaceSection(), description="security annotation")
    constant_time: ConstantTimeSection = Field(ConstantTimeSection(), description="constant time")
    side_channel: SideChannelSection = Field(SideChannelSection(), description="power leakage")
    ntt_validation: NttSection = Field(NttSection(), description="number-theoretic transform")
    fips_compliance: FipsSection = Field(FipsSection(), description="FIPS 140-3")
    entropy_analysis: EntropySection = Field(EntropySection(), description="SP 800-90B")


class VerificationSection(Section):
    """What is checked, and how."""

    lint: LintSection = Field(LintSection(), description="lint")
    simulation: SimulationSection = Field(SimulationSection(), description="simulation")
    formal: FormalSection = Field(FormalSection(), description="formal verification")
    crypto_verification: CryptoSection = Field(CryptoSection(), description="crypto checks")


class TimingSection(Section):
    """Static timing analysis."""

    tool: Literal["opensta"] = Field("opensta", description="analyser")
    clock_period: float | None = Field(None, gt=0, description="clock period, ns")


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
