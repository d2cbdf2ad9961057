"""What is measured of the check side_channel: designs, simulations, and how long they take."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openforge import config, design
from openforge.analysis.bitsliced import LANES, Model, Simulation, simulation
from openforge.analysis.gates import Gates
from openforge.analysis.tape import GROUP
from openforge.engines.side_channel.stimulating import stimulus
from openforge.engines.side_channel.subject import campaigns
from openforge.engines.side_channel.subject import subject as simulated
from openforge.run_folder import RunFolder

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DOM_SBOX = EXAMPLES / "dom-sbox"
_REPEATED = 5
_NEXT_CYCLE, _CYCLES = 18, 72  # of aes_core: key expansion, then a block


@dataclass(frozen=True)
class Row:
    """One line of the table; a target is "at most", or "at least" with `up`; None: only told."""

    what: str
    value: float
    unit: str
    target: float | None = None
    up: bool = False

    @property
    def missed(self) -> bool:
        """Whether there is a target and it is not met."""
        if self.target is None:
            return False
        return self.value < self.target if self.up else self.value > self.target

    def __str__(self) -> str:
        sign = "≥" if self.up else "≤"
        target = "" if self.target is None else f"{sign} {self.target:g} {self.unit}"
        word = "" if self.target is None else "**MISSED**" if self.missed else "ok"
        return f"| {self.what} | {self.value:.4g} {self.unit} | {target} | {word} |"


@dataclass(frozen=True)
class Subject:
    """A design with the simulation of its first campaign; `reset` is its net and active value."""

    gates: Gates
    simulation: Simulation
    reset: tuple[int, bool]


@dataclass(frozen=True)
class Timed:
    """What a process of its own took: for the work, in all, and at most in memory."""

    wall_s: float
    process_s: float
    peak_kb: float


@dataclass(frozen=True)
class Speed:
    """Traces a second of processor time of one thread."""

    per_cpu_s: float


def subject(project: Path, work: Path) -> Subject:
    """The design in `project` as the check simulates it first, with scratch files in `work`."""
    settings = config.load(project, {})
    params = settings.verification.crypto_verification.side_channel
    folder = RunFolder.create(work)
    found = simulated(params, design.load(project, settings), folder)
    campaign = campaigns(params, found)[0]
    made = stimulus(found.roles, found.how.protocol, campaign)
    run = simulation(found.gates, made, Model.HAMMING_DISTANCE, campaign.key)
    assert found.roles.reset is not None
    return Subject(found.gates, run, found.roles.reset)


def by_one_core(run: Simulation, n_batches: int) -> Speed:
    """Histograms of the power, by one thread; the best of several times."""
    power = run.power(0, 2).astype(np.int64)
    low, high = power.min(axis=0), power.max(axis=0)
    origin = np.maximum(2 * low - high - 32, 0)
    n_bins = int((2 * high - low + 32 - origin).max()) + 1
    times = []
    for _ in range(_REPEATED):
        began = time.thread_time()
        run.histogram(0, n_batches, origin, n_bins)
        times.append(time.thread_time() - began)
    return Speed(n_batches * LANES / min(times))


def skipped(run: Simulation) -> float:
    """The share of gates, over all cycles, in blocks of which no operand has changed.

    Found from the toggles of one batch: a block is skipped unless a vector that it reads has
    changed in some trace (the check skips a little less: it asks by groups of eight).
    """
    tape = run.tape
    moved = run.toggles(0, 1, 0, run.n_cycles)[..., 1] > 0
    idle = total = 0
    for first, groups, at in zip(tape.first, tape.groups, tape.operand, strict=True):
        del first
        end = at + groups * GROUP
        read = np.concatenate([operand[at:end] for operand in (tape.a, tape.b, tape.c)])
        idle += int((~moved[:, read].any(axis=1)).sum()) * int(groups)
        total += run.n_cycles * int(groups)
    return idle / total


def fresh_process(project: Path, n_traces: int, work: Path, *, whole: bool = False) -> Timed:
    """Simulate in a process of its own, by all cores; with `whole`, run the check instead."""
    kind = "check" if whole else "histograms"
    words = [sys.executable, __file__, kind, str(project), str(n_traces), str(work)]
    began = time.perf_counter()
    said = subprocess.run(words, check=True, capture_output=True, encoding="utf-8").stdout
    process_s = time.perf_counter() - began
    wall_s, peak_kb = map(float, said.splitlines()[-1].split())
    return Timed(wall_s, process_s, peak_kb)


def aes_core(checkout: Path, project: Path) -> Path:
    """A project of secworks' aes_core: a key is expanded, then a block encrypted."""
    (project / "rtl").mkdir(parents=True)
    for name in ("core", "decipher_block", "encipher_block", "inv_sbox", "key_mem", "sbox"):
        shutil.copy(checkout / "src" / "rtl" / f"aes_{name}.v", project / "rtl")
    rows = [f"{int(c == 0)},{int(c == _NEXT_CYCLE)},1,0" for c in range(_CYCLES)]
    (project / "inputs.csv").write_text("\n".join(["init,next,encdec,keylen", *rows, ""]))
    interface = {
        "clock": "clk",
        "reset": {"signal": "reset_n", "active": "low", "cycles": 2},
        "secrets": ["key", "block"],
        "public": ["init", "next", "encdec", "keylen"],
        "done": {"signal": "result_valid"},
        "observables": ["ready", "result_valid"],
    }
    crypto = {"interface": interface, "side_channel": {"stimulus": "inputs.csv", "enabled": True}}
    data = {
        "project": {"name": "aes-core", "top_module": "aes_core", "language": "v2005"},
        "design": {"sources": ["rtl/*.v"]},
        "verification": {"crypto_verification": crypto},
    }
    (project / "openforge.yaml").write_text(json.dumps(data), encoding="utf-8")
    return project


def _inside(kind: str, project: Path, n_traces: int, work: Path) -> None:
    """What the process of `fresh_process` does: it prints wall time and most memory."""
    import resource

    from openforge.engines import side_channel
    from openforge.engines.side_channel import gathering

    if kind == "check":
        field = "verification.crypto_verification.side_channel.num_traces"
        began = time.perf_counter()
        settings = config.load(project, {field: n_traces})
        params = settings.verification.crypto_verification.side_channel
        result = side_channel.run(params, design.load(project, settings), RunFolder.create(work))
        assert result.verdict is not None
    else:
        run = subject(project, work).simulation
        began = time.perf_counter()
        for _ in gathering.histograms(run, gathering.batches_of(n_traces)):
            pass
    spent = time.perf_counter() - began
    print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    _inside(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
