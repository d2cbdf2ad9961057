"""The simulated netlist of a project, run on Verilator: all nets of 64 traces, and their power.

Verilator gets the cells of ``gates.json`` as instances of Yosys' own library of cells
(``simcells.v``), and beside them ``gates.v``; nothing of `openforge.analysis.gates` or of the tape
is in between. Inputs come from the slow interpreter of stimuli (`gate_reference`).
"""

import dataclasses
import importlib.resources
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gate_reference import sources

from openforge import config, design
from openforge.analysis.bitsliced import Model, Simulation, simulation
from openforge.analysis.stimulus import FRESH, bits_of
from openforge.engines.side_channel.stimulating import Campaign, stimulus
from openforge.engines.side_channel.subject import subject
from openforge.run_folder import RunFolder
from openforge.tools import process, verilator, verilator_runtime
from openforge.tools.locate import program

EXAMPLES = Path(__file__).parents[1] / "examples"
CHUNK = 512  # bits of a port of the bench
LEVEL = "-O0"  # the compiler takes longer than the simulation


@dataclass(frozen=True)
class Compared:
    """What was compared: nets by their bits in ``gates.json``, cycles of all stimuli, and bits.

    `different` are names of nets, `different_verilog` names of signals in ``gates.v``, with another
    value somewhere; `equal_power` says whether the Hamming distance of Verilator's values is the
    power of every trace and cycle.
    """

    n_nets: int
    n_cycles: int
    n_bits: int
    equal_power: bool
    different: tuple[str, ...]
    different_verilog: tuple[str, ...]


def compare(project_dir: Path, work: Path, n_lanes: int = 64) -> Compared:
    """The nets of a project on Verilator and in the bit-sliced simulation, in new folder `work`.

    Twice: with the stimuli of the check, and with a random value at every input in every cycle.
    """
    given = config.load(project_dir)
    loaded = design.load(project_dir, given)
    folder = RunFolder.create(work)
    params = given.verification.crypto_verification.side_channel
    found = subject(params, loaded, folder)
    tree = json.loads((folder.work / "gates.json").read_text("utf-8"))
    bench = Bench(tree["modules"][loaded.top], loaded.top, found)
    executable = bench.build(folder.work)
    campaign = Campaign("compared", 1, 5, public_random=True)
    real = stimulus(found.roles, found.how.protocol, campaign)
    return _together(
        bench.compare(
            simulation(found.gates, made, Model.HAMMING_DISTANCE, 77), executable, n_lanes
        )
        for made in (real, _noisy(found, real))
    )


def _together(parts) -> Compared:
    first, second = parts
    return Compared(
        first.n_nets,
        first.n_cycles + second.n_cycles,
        first.n_bits + second.n_bits,
        first.equal_power and second.equal_power,
        tuple(dict.fromkeys(first.different + second.different)),
        tuple(dict.fromkeys(first.different_verilog + second.different_verilog)),
    )


def _noisy(found, real):
    """Random values at all inputs but the reset, which comes once more in between."""
    reset, active = found.roles.reset or (None, False)
    nets = [net for net in found.gates.inputs.values() if net != reset]
    events = []
    draw = random.Random(1)
    for cycle in range(24):
        fresh = {n: FRESH + 1 + cycle * len(nets) + k for k, n in enumerate(nets)}
        events.append(
            {n: source for n, source in fresh.items() if cycle < 8 or draw.random() < 0.3}
        )
    if reset is not None:
        events[11][reset], events[12][reset] = int(active), int(not active)
    return dataclasses.replace(
        real,
        n_cycles=len(events),
        n_slots=1 + 24 * len(nets),
        variables=(),
        groups=(),
        pokes={},
        events=tuple(events),
    )


class Bench:
    """A bench around the cells of a module in Yosys' JSON and around ``gates.v``."""

    def __init__(self, module, top, found) -> None:
        self._module, self._top, self._found = module, top, found
        self._clock = found.interface.clock
        self.names = {
            bit: f"{name}[{n}]"
            for name, net in module["netnames"].items()
            for n, bit in enumerate(net["bits"])
            if isinstance(bit, int)
        }
        driven = {
            bit
            for cell in module["cells"].values()
            for port, bits in cell["connections"].items()
            for bit in bits
            if cell["port_directions"][port] == "output" and isinstance(bit, int)
        }
        self._inputs = {
            name: port["bits"]
            for name, port in module["ports"].items()
            if port["direction"] == "input"
        }
        clock = self._inputs[self._clock] if self._clock else []
        flat = [bit for bits in self._inputs.values() for bit in bits if bit not in clock]
        self.inputs = list(dict.fromkeys(flat))
        self.nets = [*self.inputs, *sorted(driven)]
        self.signals = {
            name: net["bits"]
            for name, net in module["netnames"].items()
            if not net["hide_name"] and name != self._clock
        }
        shown = [bit for bits in self.signals.values() for bit in bits]
        self.width = len(self.nets) + len(shown)

    def build(self, work: Path) -> Path:
        """The program, in the folder of ``gates.v``."""
        (work / "bench.sv").write_text("\n".join(self._verilog()), "utf-8")
        cells = Path(str(importlib.resources.files("pyosys") / "share" / "simcells.v"))
        out, log = work / "bench", work / "bench.log"
        out.mkdir()
        model = verilator.Model(
            top="bench",
            main=out / "bench.cpp",
            sources=(work / "bench.sv", work / "gates.v", cells),
            vpi=False,
            options=("--x-initial", "0", "--x-assign", "0"),
        )
        process.run(
            verilator.argv(model, out),
            cwd=out,
            log=log,
            env=verilator.environment(),
            readable=[work],
            writable=[out],
        ).expect("Verilator")
        (out / "bench.cpp").write_text(self._program(), "utf-8")
        files = sorted(out.glob("*.cpp"))
        (out / "all.cc").write_text("".join(f'#include "{file}"\n' for file in files), "utf-8")
        runtime = verilator_runtime.runtime(jobs=2, log=work / "runtime.log")
        words = [program("c++"), LEVEL, *verilator_runtime.flags(), "-include", runtime.header]
        words += [f"-I{out}", out / "all.cc", *runtime.objects, "-o", out / "simulation"]
        process.run(
            [*words, "-lpthread"],
            cwd=out,
            log=log,
            readable=[runtime.header.parent],
            writable=[out],
        ).expect("the C++ compiler")
        return out / "simulation"

    def _verilog(self):
        chunks, n_inputs = self._chunks(), len(self.inputs) + 96
        outs = [f"output wire [{CHUNK - 1}:0] o{n}" for n in range(len(chunks))]
        yield "/*verilator tracing_off*/"
        yield f"module bench(input wire clock, input wire [{n_inputs}:0] in, {', '.join(outs)});"
        for bit in self.nets:
            yield f"wire n{bit};"
        for n, bit in enumerate(self.inputs):
            yield f"assign n{bit} = in[{n}];"
        clock = set(self._inputs[self._clock]) if self._clock else set()

        def wire(bit):
            if isinstance(bit, str):
                return f"1'b{int(bit == '1')}"
            return "clock" if bit in clock else f"n{bit}" if bit in self._all else "1'b0"

        self._all = set(self.nets)
        starts = {
            bit: value
            for net in self._module["netnames"].values()
            for bit, value in zip(
                net["bits"], net["attributes"].get("init", "")[::-1], strict=False
            )
        }
        for n, cell in enumerate(self._module["cells"].values()):
            pins = ", ".join(f".{p}({wire(b[0])})" for p, b in cell["connections"].items())
            yield f"\\{cell['type']}  u{n} ({pins});"
            if starts.get(cell["connections"].get("Q", [None])[0]) == "1":
                yield f"initial u{n}.Q = 1'b1;"
        ports = ", ".join(
            f".\\{name} ({{{', '.join(wire(bit) for bit in reversed(bits))}}})"
            for name, bits in self._inputs.items()
        )
        yield f"\\{self._top} dut ({ports});"
        for n, chunk in enumerate(chunks):
            yield f"assign o{n} = {{{', '.join(reversed(chunk))}}};"
        yield "endmodule"

    def _chunks(self):
        """The bits that are seen, as expressions, in chunks that are filled up."""
        own = [f"n{bit}" for bit in self.nets]
        for name, bits in self.signals.items():
            scalar = len(bits) == 1
            own += [f"dut.\\{name} " + ("" if scalar else f"[{n}]") for n in self._declared(name)]
        own += ["1'b0"] * (-len(own) % CHUNK)
        return [own[n : n + CHUNK] for n in range(0, len(own), CHUNK)]

    def _declared(self, name):
        """The numbers with which the bits of a signal were declared, bit 0 first."""
        net = self._module["netnames"][name]
        indices = range(net.get("offset", 0), net.get("offset", 0) + len(net["bits"]))
        return list(reversed(indices)) if net.get("upto") else list(indices)

    def _program(self):
        outs = ", ".join(f"&top.o{n}" for n in range(len(self._chunks())))
        rising = int(self._found.interface.rising)
        return _PROGRAM.replace("OUTS", outs).replace("RISING", str(rising))

    def compare(self, made: Simulation, executable: Path, n_lanes: int) -> Compared:
        """What `n_lanes` traces of batch 0 are here and there."""
        words = self._run(made, executable, n_lanes)
        found, shown = words[..., : len(self.nets)], words[..., len(self.nets) : self.width]
        literals = np.array([made.gates.literal(bit) for bit in self.nets])
        held = made.values(0, (literals >> 1).tolist())
        mine = bits_of(held).reshape(made.n_cycles, len(self.nets), 512)[:, :, :n_lanes]
        wrong = (found[:, 1:] != mine.transpose(2, 0, 1)).any(axis=(0, 1))
        column = {bit: n for n, bit in enumerate(self.nets)}
        odd, at = [], 0
        for name, bits in self.signals.items():
            for n, bit in enumerate(bits):
                known = found[..., column[bit]] if bit in column else str(bit) == "1"
                if (shown[..., at + n] != known).any():
                    odd.append(f"{name}[{n}]")
            at += len(bits)
        distance = (found[:, 1:] != found[:, :-1]).sum(axis=2)
        return Compared(
            n_nets=len(self.nets),
            n_cycles=made.n_cycles,
            n_bits=mine.size,
            equal_power=bool((distance == made.power(0, 1)[:n_lanes]).all()),
            different=tuple(self.names[self.nets[n]] for n in np.flatnonzero(wrong)),
            different_verilog=tuple(odd),
        )

    def _run(self, made, executable, n_lanes):
        """All bits that are seen: bool[n_lanes, 1 + n_cycles, bits], the prologue's end first."""
        if made.stimulus.pokes:
            raise NotImplementedError("registers that are set before a trace")
        nets = {bit: made.gates.inputs[bit] for bit in self.inputs}
        given = sources(made.stimulus, made.key, 0)
        lines = [f"{n_lanes} {len(made.stimulus.prologue)} {made.n_cycles} {len(self.inputs)}"]
        now = dict.fromkeys(self.inputs, 0)
        bit_of = {net: bit for bit, net in nets.items()}
        rows = []
        for row in made.stimulus.prologue:
            now |= {bit_of[net]: -1 * value for net, value in row.items()}
            rows.append(dict(now))
        for row in made.stimulus.events:
            now |= {bit_of[net]: given(source) for net, source in row.items()}
            rows.append(dict(now))
        for lane in range(n_lanes):
            lines += ["".join(str(row[b] >> lane & 1) for b in self.inputs) for row in rows]
        folder = executable.parent
        (folder / "stimuli").write_text("\n".join(lines), "ascii")
        process.run(
            [executable, "stimuli", "values"],
            cwd=folder,
            log=folder / "run.log",
            writable=[folder],
        ).expect("the bench")
        data = np.fromfile(folder / "values", np.uint8)
        shape = (n_lanes, 1 + made.n_cycles, -1)
        return np.unpackbits(data, bitorder="little").reshape(shape).astype(bool)


_PROGRAM = r"""
#include <fstream>
#include <memory>
#include <string>
#include "Vbench_or_top.h"
int main(int, char** argv) {
    std::ifstream in{argv[1]};
    std::ofstream out{argv[2], std::ios::binary};
    size_t lanes, before, cycles, inputs;
    in >> lanes >> before >> cycles >> inputs;
    for (size_t lane = 0; lane < lanes; lane++) {
        VerilatedContext context;
        auto model = std::make_unique<Vtop>(&context, "");
        Vtop& top = *model;
        top.clock = !RISING;
        for (size_t cycle = 0; cycle < before + cycles; cycle++) {
            std::string row;
            if (inputs) in >> row;
            if (cycle) {  // the edge, with the inputs of the cycle before
                top.clock = RISING;
                top.eval();
            }
            for (size_t n = 0; n < inputs; n++) {
                top.in[n / 32] &= ~(1U << n % 32);
                top.in[n / 32] |= static_cast<EData>(row[n] == '1') << n % 32;
            }
            top.eval();
            if (cycle) {
                top.clock = !RISING;
                top.eval();
            }
            if (cycle + 1 < before) continue;
            for (const auto* chunk : {OUTS})
                out.write(reinterpret_cast<const char*>(chunk->data()), 64);
        }
    }
    return out.good() ? 0 : 1;
}
""".replace("Vbench_or_top", verilator.PREFIX)
