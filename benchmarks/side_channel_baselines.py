"""The power of a netlist by other means: Verilator in C++, and cocotb with a VCD that is parsed.

Both run the same gates as the check (`openforge.analysis.gates`), written as Verilog, with the same
inputs changing in the same cycles; random bits come from a generator of a few instructions. Neither
is made to reset between traces, and only the cycles of the traces are timed, which is in their
favour: traces follow each other in one run. That the power is the same is seen from the mean power
of other traces, with a reset before each.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openforge.analysis.gates import FALSE, TRUE, Gates, Kind, Literal
from openforge.analysis.stimulus import Stimulus
from openforge.tools import cocotb, verilator
from openforge.tools.locate import program

_WORD, _CHUNK = 64, 512
_HERE = Path(__file__).resolve().parent
_TEST = "side_channel_cocotb"
_FEW = 20000  # traces with a reset before each, of which the mean power is taken


@dataclass(frozen=True)
class Rate:
    """How many traces took how long, and the mean power of a trace (0 where it is not known)."""

    n_traces: int
    cpu_s: float
    wall_s: float
    mean_power: float = 0.0

    @property
    def per_cpu_s(self) -> float:
        """Traces a second of processor time."""
        return self.n_traces / self.cpu_s


class Baseline:
    """A netlist with a stimulus, as Verilog with a plan of its inputs. Its reset is `reset`."""

    def __init__(self, gates: Gates, stimulus: Stimulus, reset: tuple[int, bool]) -> None:
        self._gates, self._stimulus, self._reset = gates, stimulus, reset
        self._inputs = [net for net in gates.inputs.values() if net != reset[0]]
        self._words = -(-len(self._inputs) // _WORD)
        hidden = {gate.out for gate in gates.gates if gate.hidden}
        hidden |= {register.q for register in gates.registers if register.hidden}
        self._counted = [net for net in range(1, gates.n_nets) if net not in hidden]
        self._counted += [0] * (-len(self._counted) % _CHUNK)

    def by_verilator(self, n_traces: int, work: Path) -> Rate:
        """Every net exposed by outputs of 512 bits, compared with its last value and counted."""
        work.mkdir(parents=True)
        (work / "plan.h").write_text("\n".join(self._header()), encoding="utf-8")
        main = _HERE / "side_channel_main.cpp"
        model = self._build(work, main, exposed=True, switches=[], link=[], level="-O3")
        _, _, mean = _told(model, min(n_traces, _FEW), reset=True)
        cpu_s, wall_s, _ = _told(model, n_traces, reset=False)
        return Rate(n_traces, cpu_s, wall_s, mean)

    def by_cocotb(self, n_traces: int, work: Path) -> Rate:
        """A VCD from cocotb and Verilator, of which pywellen reads all changes.

        What `n_traces` take more than a tenth of them, so that starting up is not counted.
        """
        work.mkdir(parents=True)
        told = {"plan": list(self._plan()), "reset": int(self._reset[1])}
        (work / "plan.json").write_text(json.dumps(told), encoding="utf-8")
        model = self._build(
            work,
            cocotb.verilator_main(),
            exposed=False,
            switches=["--vpi", "--public-flat-rw", "--trace-vcd", "--timing"],
            link=cocotb.link_words(),
            level="-O3",
        )
        few = max(1, n_traces // 10)
        (small_cpu, small_wall), (cpu, wall) = (
            self._simulated(model, work / f"run{n}", n) for n in (few, n_traces)
        )
        return Rate(n_traces - few, cpu - small_cpu, wall - small_wall)

    def _simulated(self, model: Path, folder: Path, n_traces: int) -> tuple[float, float]:
        """Processor and wall time of a run and of reading what it left."""
        folder.mkdir()
        env = cocotb.test_environment("top", _TEST, [_HERE], cocotb.TestName(_TEST, "traces"), 1)
        env |= {"PLAN": str(model.parent / "plan.json"), "N_TRACES": str(n_traces)}
        before, began = _spent(), time.perf_counter()
        subprocess.run(
            [model, "--trace"],
            check=True,
            cwd=folder,
            env={**os.environ, **env},
            stdout=subprocess.DEVNULL,
        )
        cases = cocotb.read_results(folder / "results.xml")
        assert [case.status for case in cases] == [cocotb.Status.PASSED], cases
        changes = sum(_changes(folder / "dump.vcd").values())
        assert changes > 0
        return _spent() - before, time.perf_counter() - began

    def _build(
        self,
        work: Path,
        main: Path,
        *,
        exposed: bool,
        switches: Sequence[str],
        link: Sequence[str],
        level: str,
    ) -> Path:
        (work / "top.v").write_text("\n".join(self._verilog(exposed=exposed)), encoding="utf-8")
        out = work / "model"
        verilate: list[str | Path] = [
            "--cc",
            "--exe",
            "--prefix",
            "Vtop",
            "--top-module",
            "top",
            "-O3",
            "-Mdir",
            out,
        ]
        verilate += ["--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "-Wno-lint"]
        self._run([program("verilator"), *verilate, *switches, main, work / "top.v"], work)
        include = verilator.root() / "include"
        names = ["verilated", "verilated_threads"]
        traced = "--trace-vcd" in switches
        names += ["verilated_vcd_c", "verilated_vpi", "verilated_timing"] if traced else []
        defines = [f"-DVM_TRACE={int(traced)}", f"-DVM_TRACE_VCD={int(traced)}", "-DVM_TRACE_FST=0"]
        defines += ["-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE_SAIF=0", "-DVERILATOR=1"]
        defines += [f"-DVM_TIMING={int(traced)}"]
        sources: list[str | Path] = [
            *sorted(out.glob("*.cpp")),
            *(include / f"{name}.cpp" for name in names),
            main,
        ]
        flags = [
            "-std=c++20",
            "-fcoroutines",
            level,
            "-march=native",
            "-w",
            f"-I{out}",
            f"-I{work}",
        ]
        flags += [f"-I{include}", f"-I{include}/vltstd"]
        executable = work / "simulation"
        self._run(
            [program("c++"), *flags, *defines, *sources, "-o", executable, *link, "-lpthread"], work
        )
        return executable

    def _run(self, words: Sequence[str | Path], work: Path) -> None:
        with (work / "build.log").open("a", encoding="utf-8") as log:
            subprocess.run(
                words,
                check=True,
                stdout=log,
                stderr=log,
                env={**os.environ, **verilator.environment()},
            )

    def _plan(self) -> Iterator[list[tuple[int, int, int]]]:
        """Of each cycle and word of inputs: the bits that stay, are random, and become 1."""
        last: dict[int, bool] = dict(self._stimulus.prologue[-1])
        for cycle, events in enumerate(self._stimulus.events):
            row = []
            for n in range(self._words):
                keep, random, one = (1 << _WORD) - 1, 0, 0
                for bit, net in enumerate(self._inputs[n * _WORD : (n + 1) * _WORD]):
                    source = events.get(net, int(last.get(net, False)) if not cycle else None)
                    if source is None:
                        continue
                    keep &= ~(1 << bit)
                    random |= (source > 1) << bit
                    one |= (source == 1) << bit
                row.append((keep, random, one))
            yield row

    def _header(self) -> Iterator[str]:
        """What the C++ program must know of the netlist and its inputs."""
        chunks, words = len(self._counted) // _CHUNK, range(self._words)
        yield f"#define CYCLES {self._stimulus.n_cycles}"
        yield f"#define INPUTS {self._words}"
        yield f"#define CHUNKS {chunks}"
        yield f"#define RESET {int(self._reset[1])}"
        state = self._stimulus.prologue[-1]
        idle = [
            sum(state.get(net, False) << n for n, net in enumerate(nets))
            for nets in (self._inputs[n * _WORD : (n + 1) * _WORD] for n in words)
        ]
        yield f"static const uint64_t idle[INPUTS] = {{{', '.join(f'{n}ULL' for n in idle)}}};"
        yield f"#define SET_INPUTS(TOP, IN) {' '.join(f'TOP.i{n} = IN[{n}];' for n in words)}"
        exposed = (f"COUNT({n}, TOP.o{n})" for n in range(chunks))
        yield f"#define EACH_CHUNK(COUNT, TOP) {' '.join(exposed)}"
        yield "static const struct { uint64_t keep, random, one; } plan[CYCLES][INPUTS] = {"
        for row in self._plan():
            yield "{" + ", ".join("{" + ", ".join(f"{n}ULL" for n in w) + "}" for w in row) + "},"
        yield "};"

    def _verilog(self, *, exposed: bool) -> Iterator[str]:
        """The gates as assignments, the registers as blocks of one clock."""
        chunks = len(self._counted) // _CHUNK if exposed else 0
        ports = ["input clk", "input rst"]
        ports += [f"input [{_WORD - 1}:0] i{n}" for n in range(self._words)]
        ports += [f"output [{_CHUNK - 1}:0] o{n}" for n in range(chunks)]
        yield f"module top ({', '.join(ports)});"
        yield "  wire n0 = 0;"
        yield f"  wire n{self._reset[0]} = rst;"
        for n, net in enumerate(self._inputs):
            yield f"  wire n{net} = i{n // _WORD}[{n % _WORD}];"
        for register in self._gates.registers:
            yield f"  reg n{register.q} = {int(register.initial)};"
        for gate in self._gates.gates:
            yield f"  wire n{gate.out};"
        for gate in self._gates.gates:
            x, y, z = (_read(literal) for literal in (gate.x, gate.y, gate.z))
            what = {
                Kind.AND: f"{x} & {y}",
                Kind.XOR: f"{x} ^ {y}",
                Kind.MUX: f"{z} ? {y} : {x}",
                Kind.BUF: x,
            }[gate.kind]
            yield f"  assign n{gate.out} = {'~' if gate.inverted else ''}({what});"
        yield "  always @(posedge clk) begin"
        for register in self._gates.registers:
            yield f"    n{register.q} <= {_read(register.d)};"
        yield "  end"
        for n in range(chunks):
            nets = self._counted[n * _CHUNK : (n + 1) * _CHUNK]
            yield f"  assign o{n} = {{{', '.join(f'n{net}' for net in nets)}}};"
        yield "endmodule"


def _told(model: Path, n_traces: int, *, reset: bool) -> list[float]:
    """What the C++ program says: processor time, wall time, mean power of a trace."""
    words = [str(model), str(n_traces), str(int(reset))]
    said = subprocess.run(words, check=True, capture_output=True, encoding="utf-8").stdout
    return [float(word) for word in said.split()]


def _read(literal: Literal) -> str:
    if literal in {FALSE, TRUE}:
        return f"1'b{literal}"
    return f"{'~' if literal & 1 else ''}n{literal >> 1}"


def _changes(path: Path) -> dict[int, int]:
    """How many signals change at each time, the toggles of which power is made."""
    import pywellen

    found: dict[int, int] = {}
    wave = pywellen.Waveform(str(path))
    for var in wave.all_vars():
        for when, _ in var.tv:
            found[when] = found.get(when, 0) + 1
    return found


def _spent() -> float:
    """Processor time of this process and of those that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
