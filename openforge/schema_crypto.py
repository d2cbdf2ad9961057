"""The schema of ``verification.crypto_verification``: the interface, and the crypto checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from openforge.schema_base import (
    Depth,
    Expression,
    Glob,
    Modulus,
    Name,
    Probability,
    Reason,
    Seconds,
    Section,
    Seed,
    Signal,
    Text,
)

_LEAST_NOISE, _MOST_NOISE = 0.05, 1e6
_OLDER_NAMES = {"kyber": "ml-kem", "dilithium": "ml-dsa"}
_ENABLED = Field(
    None,
    description="true: nothing to check is an error; false: skipped; default: run if there is",
)


class ResetSection(Section):
    """A reset and how it is applied."""

    signal: Name = Field(description="port")
    active: Literal["low", "high"] = Field("low", description="polarity")
    cycles: int = Field(2, ge=1, le=10_000, description="cycles it is held")


class ArithmeticShares(Section):
    """x = sum of the shares modulo `modulus`."""

    of: tuple[Signal, ...] = Field(min_length=2, description="signals that carry the shares")
    modulus: Modulus = Field(description="modulus of the sharing")


class StartSection(Section):
    """What begins an operation."""

    signal: Name = Field(description="port")


class DoneSection(Section):
    """What ends an operation: a signal, or a fixed number of cycles."""

    signal: Name | None = Field(None, description="port")
    cycles: int | None = Field(None, ge=1, le=100_000, description="cycles after start")

    @model_validator(mode="after")
    def _one_of_them(self) -> DoneSection:
        if (self.signal is None) == (self.cycles is None):
            raise ValueError("needs either 'signal' or 'cycles'")
        return self


class Declassified(Section):
    """A signal that may depend on a secret, by specification."""

    signal: Signal = Field(description="signal")
    reason: Reason = Field(description="why that is right")


class InterfaceSection(Section):
    """The one security annotation; everything but `secrets` can be inferred."""

    clock: Name | None = Field(None, description="clock port")
    reset: ResetSection | None = Field(None, description="reset")
    secrets: tuple[Signal, ...] = Field((), description="ports, bit ranges, registers, memories")
    public: tuple[Signal, ...] = Field((), description="inputs that an attacker may know")
    randoms: tuple[Signal, ...] = Field((), description="fresh randomness")
    shares: dict[Name, tuple[Signal, ...] | ArithmeticShares] = Field(
        {}, description="secrets carried by shares: Boolean, or arithmetic with a modulus"
    )
    start: StartSection | None = Field(None, description="begins an operation")
    done: DoneSection | None = Field(None, description="ends an operation")
    observables: tuple[Signal, ...] = Field((), description="what an attacker sees of the timing")
    constants: dict[Name, int] = Field({}, description="inputs held at a value")
    assume: tuple[Expression, ...] = Field((), description="Verilog expressions over public inputs")
    declassify: tuple[Declassified, ...] = Field((), description="allowed to depend on secrets")


class ConstantTimeSection(Section):
    """The check `constant_time`."""

    enabled: bool | None = _ENABLED
    secrets: tuple[Signal, ...] = Field((), description="short for interface.secrets")
    public: tuple[Signal, ...] = Field((), description="short for interface.public")
    depth: Depth = Field(200, description="cycles of the bounded search")
    timeout_seconds: Seconds = Field(20, description="time limit of the search and proof, seconds")
    strict: bool = Field(
        False, description="registers without an initial value may differ before the reset"
    )
    self_check: bool = Field(True, description="plant a leak, and see that it is found")
    seed: Seed = Field(1, description="seed of the random runs")


class CpaSection(Section):
    """Correlation power analysis."""

    target: Name | None = Field(None, description="leakage function, e.g. aes128_first_round")
    function: Glob | None = Field(
        None, description="a Python file with `leakage(data, guess)` instead of a target"
    )
    key: Signal | None = Field(None, description="what is attacked; default: the only secret")
    data: Signal | None = Field(
        None, description="what the attacker knows; default: the only public input of its width"
    )
    num_traces: int = Field(10_000, ge=100, le=10**6, description="traces of the attack")

    @model_validator(mode="after")
    def _one_of_them(self) -> CpaSection:
        if (self.target is None) == (self.function is None):
            raise ValueError("needs either 'target' or 'function'")
        return self


def _noise(value: float) -> float:
    """None, or so much that counts do not need steps without end. Raises ValueError."""
    if value and not _LEAST_NOISE <= value <= _MOST_NOISE:
        raise ValueError(f"must be 0, or from {_LEAST_NOISE:g} to {_MOST_NOISE:g}")
    return value


Noise = Annotated[float, AfterValidator(_noise)]


class SideChannelSection(Section):
    """The check `side_channel`."""

    enabled: bool | None = _ENABLED
    power_model: Literal["hamming_distance", "hamming_weight", "toggle_count"] = Field(
        "hamming_distance", description="how power follows from values"
    )
    test: Literal["fixed_vs_random", "random_vs_random"] = Field(
        "fixed_vs_random", description="what is compared"
    )
    tvla_threshold: float = Field(4.5, ge=2, le=30, description="threshold of |t| (ISO/IEC 17825)")
    orders: tuple[Annotated[int, Field(ge=1, le=3)], ...] = Field(
        (1,), min_length=1, description="statistical orders"
    )
    num_traces: int = Field(
        10_000, ge=1, le=10**9, description="traces to simulate, of each campaign"
    )
    noise_stddev: Noise = Field(0.0, description="Gaussian noise, in the model's units")
    cpa: CpaSection | None = Field(None, description="key recovery by correlation")
    seed: Seed = Field(1, description="seed of the stimuli")
    public: Literal["fixed", "random", "both"] = Field(
        "both", description="public data: the same in all traces, drawn for each, or half and half"
    )
    probing: Literal["auto", "off", "glitches", "transitions"] = Field(
        "auto",
        description="probing sets: extended by glitches, and by transitions too (auto: with"
        " both, if shares are declared)",
    )
    cycles: int | None = Field(
        None, ge=1, le=4096, description="cycles of a trace; default: until done"
    )
    stimulus: Glob | None = Field(
        None, description="recorded public inputs: CSV, a column a port, a row a cycle"
    )
    traces: Glob | None = Field(
        None, description="measured traces that are assessed instead (.npy, .npz, Zarr, HDF5, .cwp)"
    )
    store_traces: int = Field(
        0, ge=0, le=10**7, description="simulated traces that are kept as an artifact"
    )


class CustomRing(Section):
    """An NTT that no standard names."""

    q: Modulus = Field(description="modulus")
    n: int = Field(ge=2, le=1 << 16, description="length")
    zeta: int = Field(ge=1, lt=1 << 64, description="primitive root of unity")


class NttSection(Section):
    """The check `ntt_validation`."""

    enabled: bool | None = _ENABLED
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
        if isinstance(value, dict) and "exhaustive_test" in value:
            if "exhaustive" in value:
                raise ValueError("exhaustive and exhaustive_test are the same field; give one")
            value = dict(value)
            value["exhaustive"] = value.pop("exhaustive_test")
        return value

    @field_validator("standard", mode="before")
    @classmethod
    def _older_names(cls, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"custom"}:
            return value["custom"]
        return _OLDER_NAMES.get(value, value) if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core)
        fields = handler.resolve_ref_schema(schema)["properties"]
        fields["standard"]["anyOf"].insert(1, {"enum": list(_OLDER_NAMES)})
        fields["exhaustive_test"] = {"type": "boolean"}
        return schema


class ZeroizeSection(Section):
    """How keys are erased."""

    signal: Name = Field(description="port that asks for it")
    within_cycles: int = Field(16, ge=1, le=100_000, description="cycles it may take")


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

    samples: Signal = Field(description="raw samples")
    valid: Name | None = Field(None, description="a sample is there")
    alarm: Name | None = Field(None, description="a test has failed")
    h_min: float = Field(gt=0, le=64, description="claimed min-entropy, bits per sample")
    alpha: Probability = Field(2.0**-30, description="false positive probability")
    window: int = Field(
        1024, ge=2, le=1 << 20, description="window of the adaptive proportion test"
    )


class FipsSection(Section):
    """The check `fips_compliance`."""

    enabled: bool | None = _ENABLED
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

    enabled: bool | None = _ENABLED
    sources: tuple[Signal, ...] = Field((), description="raw noise signals")
    sinks: tuple[Signal, ...] = Field((), description="where it is used")
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
