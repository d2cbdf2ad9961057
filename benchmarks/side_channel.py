"""How fast the check side_channel is, as ratios in one run, and whether its numbers are right.

    python benchmarks/side_channel.py [--aes-core DIR] [--only PART ...] [--small] [--write]
    python benchmarks/side_channel.py --correct [--small]

DIR holds a checkout of secworks' aes (``src/rtl/aes_*.v``), which is not part of this project.
Prints a Markdown table; exit code 1 when a target is missed. With --small everything is a hundredth
of the size, to see that the script works; its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import side_channel_correct
import side_channel_traces
from side_channel_baselines import Baseline
from side_channel_service import jobs
from side_channel_subjects import (
    DOM_SBOX,
    Row,
    Timed,
    aes_core,
    by_one_core,
    fresh_process,
    skipped,
    subject,
)

from openforge import native

PAGE = Path(__file__).with_suffix(".md")
_TARGETS = {"verilator": 300.0, "cocotb": 100_000.0, "traces": 5e8}
_MB = 1024.0


class Bench:
    """The parts, with a scratch folder; sizes are divided by `less`."""

    def __init__(self, work: Path, less: int, core: Path | None) -> None:
        self._work, self._less, self._core = work, less, core

    def parts(self) -> dict[str, Callable[[], Iterator[Row]]]:
        """The parts by name, in the order in which they are run."""
        return {
            "simulators": self.simulators,
            "traces": self.traces,
            "memory": self.memory,
            "aes": self.aes,
            "first": self.first,
            "rest": lambda: jobs(self._work / "service"),
            "stored": lambda: side_channel_traces.rows(self._less),
        }

    def simulators(self) -> Iterator[Row]:
        """The same netlist here, on Verilator with all nets counted, and by cocotb and a VCD."""
        made = subject(DOM_SBOX, self._work / "simulators")
        other = Baseline(made.gates, made.simulation.stimulus, made.reset)
        ours = by_one_core(made.simulation, 4096 // self._less)
        yield Row("dom-sbox, one core: traces a second", ours.per_cpu_s, "/s")
        counted = other.by_verilator(1_000_000 // self._less, self._work / "verilator")
        mean = made.simulation.power(0, 64).sum(axis=1).mean()
        yield Row("Verilator, all nets counted", counted.per_cpu_s, "/s")
        yield Row("its mean power / ours", counted.mean_power / mean, "")
        ratio = ours.per_cpu_s / counted.per_cpu_s
        yield Row("times Verilator", ratio, "x", _TARGETS["verilator"], up=True)
        written = other.by_cocotb(1000 // min(self._less, 10), self._work / "cocotb")
        yield Row("cocotb, Verilator, VCD, pywellen", written.per_cpu_s, "/s")
        yield Row("the same by wall time", written.n_traces / written.wall_s, "/s")
        ratio = ours.per_cpu_s / written.per_cpu_s
        yield Row("times cocotb with a VCD", ratio, "x", _TARGETS["cocotb"], up=True)

    def traces(self) -> Iterator[Row]:
        """How many traces all cores simulate in ten seconds, and how long the target takes."""
        wanted = int(_TARGETS["traces"]) // self._less
        timed = fresh_process(DOM_SBOX, wanted, self._work / "traces")
        in_ten = wanted / timed.wall_s * 10
        cores = len(os.sched_getaffinity(0))
        target = _TARGETS["traces"]
        yield Row(f"dom-sbox, {cores} cores: traces in 10 s", in_ten, "", target, up=True)
        yield Row(f"{wanted:.0e} traces", timed.wall_s, "s")

    def memory(self) -> Iterator[Row]:
        """The most memory of a process that simulates, whatever the number of traces."""
        for count in (1_000_000, 100_000_000):
            timed = fresh_process(DOM_SBOX, count // self._less, self._work / f"memory{count}")
            yield Row(f"memory, {count:.0e} traces", timed.peak_kb / _MB, "MB", 300)

    def aes(self) -> Iterator[Row]:
        """AES-128 of this project, and of secworks where it is given."""
        cores = {"examples/aes": Path(DOM_SBOX).with_name("aes")}
        if self._core:
            cores["secworks aes_core"] = aes_core(self._core, self._work / "core")
        for name, project in cores.items():
            made = subject(project, self._work / name.replace("/", "-").replace(" ", "-"))
            run = made.simulation
            said = f"{name}, {run.tape.n_counted} nets, {run.n_cycles} cycles"
            batches = max(1, 196 // self._less)
            found = by_one_core(run, batches)
            yield Row(f"{said}: 100,000 traces, one core", 1e5 / found.per_cpu_s, "s", 1)
            yield Row("share of gates in blocks without a change", 100 * skipped(run), "%")

    def first(self) -> Iterator[Row]:
        """From nothing but the cached netlist to the verdict, for 10,000 traces."""
        timed: Timed = fresh_process(DOM_SBOX, 10_000, self._work / "cold", whole=True)
        timed = fresh_process(DOM_SBOX, 10_000, self._work / "first", whole=True)
        yield Row("first result, 10,000 traces of dom-sbox", timed.wall_s, "s", 1)
        yield Row("with the start of Python and its imports", timed.process_s, "s")


def main() -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aes-core", type=Path, help="checkout of secworks' aes")
    parser.add_argument("--only", nargs="*", default=[], help="parts, by name")
    parser.add_argument("--small", action="store_true", help="a hundredth of the size")
    parser.add_argument("--correct", action="store_true", help="whether numbers are right")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args()
    less = 100 if given.small else 1
    with tempfile.TemporaryDirectory(prefix="of-side-channel-") as scratch:
        if given.correct:
            return side_channel_correct.main(Path(scratch), less)
        bench = Bench(Path(scratch), less, given.aes_core)
        lines = [
            "# Side channel: measured",
            "",
            f"{os.cpu_count()} cores, Python {platform.python_version()}, compiled part "
            f"{native.describe()}; one run of `python benchmarks/side_channel.py`. One core is "
            "processor time of one thread, the best of five; everything else is wall time.",
            "",
            "| measured | | target | |",
            "|---|---|---|---|",
        ]
        print("\n".join(lines), flush=True)
        missed = False
        for name, part in bench.parts().items():
            for row in part() if not given.only or name in given.only else ():
                lines.append(str(row))
                print(row, flush=True)
                missed |= row.missed
    if given.write:
        PAGE.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
