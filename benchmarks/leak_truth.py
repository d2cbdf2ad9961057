"""Whether a mutant leaks: runs with equal public inputs and different secrets, on Verilator.

The truth of the benchmark. Nothing of the check that is measured is used, but the simulator.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leak_mutators import Kind, Mutation, Probe, write
from leak_source import Core

from openforge import config, design
from openforge.tools import verilator, verilator_replay
from openforge.tools.verilator_replay import Replayer, Stimulus

RUNS = 24
"""Runs of the clean core that conditions are drawn from; the first `_ODD` have special secrets."""

_ODD = 6
_WARM, _AFTER = 40, 60  # cycles with public inputs only, and beyond the depth of the annotation
_PROBE = "planted_probe_q"


@dataclass(frozen=True)
class Witness:
    """Two values of the secrets that `observed` tells apart in `cycle`, and not before."""

    secrets: tuple[Mapping[str, int], Mapping[str, int]]
    observed: str
    cycle: int

    def __str__(self) -> str:
        """The bits that differ by secret, and what shows it."""
        one, two = self.secrets
        different = {name: (one[name] ^ two[name]).bit_count() for name in one}
        bits = " and ".join(f"{count} bits of {name}" for name, count in different.items() if count)
        return f"{bits}: {self.observed} in cycle {self.cycle}"


class Truth:
    """Runs of one core and its mutants; files go to `work`."""

    def __init__(self, core: Core, work: Path, seed: int) -> None:
        self._core, self._work = core, work
        self._dice = random.Random(f"{seed} {core.name}")
        self._numbers = itertools.count()
        self._schedule = list(self._publics())
        self.secrets = tuple(self._secret(n) for n in range(RUNS))

    def probe(self) -> Probe:
        """What the clean core does with each of the secrets."""
        core = self._core
        folder = self._work / "probe"
        count = len(core.blocks)
        first = core.blocks[0].begin
        edits = [
            (core.declarations, core.declarations, f"\n  logic [{count - 1}:0] {_PROBE};"),
            (core.reset_end, core.reset_end, f"{_PROBE} <= '0;\n"),
            (first, first, f"\n{_PROBE} <= '0;"),
            *((b.end, b.end, f"{_PROBE}[{n}] <= 1'b1;\n") for n, b in enumerate(core.blocks)),
        ]
        write(core, Mutation(Kind.DATA, tuple(edits), "marks the blocks", None, 0), folder)
        replayer = self._built(folder)
        names = [*core.resets, *core.public, *core.interface.secrets]
        values = [self._run(replayer, s, [*names, _PROBE]) for s in self.secrets]
        active = [
            tuple(
                (run, cycle - 1)
                for run, columns in enumerate(values)
                for cycle, flags in enumerate(columns[_PROBE])
                if flags >> n & 1
            )
            for n in range(count)
        ]
        return Probe(self.secrets, tuple(values), tuple(active))

    def witness(self, folder: Path, run: int, observed: Sequence[str]) -> Witness | None:
        """A pair of secrets that the mutant in `folder` tells apart, one of them that of `run`."""
        replayer = self._built(folder)
        one = self._run(replayer, self.secrets[run], observed)
        for secrets in (*self.secrets[_ODD:], *self.secrets[:_ODD]):
            two = self._run(replayer, secrets, observed)
            found = [
                (cycle, name)
                for name in observed
                for cycle, (a, b) in enumerate(zip(one[name], two[name], strict=True))
                if a != b
            ]
            if found:
                cycle, name = min(found)
                return Witness((self.secrets[run], secrets), name, cycle)
        return None

    def _publics(self) -> Iterator[dict[str, int]]:
        """The inputs of each cycle but the secrets: reset, a while without a start, operations."""
        core, dice = self._core, self._dice
        reset, start = core.interface.reset, core.interface.start.signal
        held = int(reset.active == "high")
        crypto = config.load(core.folder).verification.crypto_verification
        assert crypto is not None and crypto.constant_time is not None
        last = reset.cycles + _WARM + crypto.constant_time.depth + _AFTER
        for cycle in range(last):
            inputs = {name: dice.getrandbits(core.widths[name]) for name in core.public}
            inputs[start] = int(cycle >= reset.cycles + _WARM and dice.random() < 0.4)
            inputs[reset.signal] = held if cycle < reset.cycles else 1 - held
            yield inputs

    def _secret(self, number: int) -> dict[str, int]:
        """The secrets of a run, held in it: all 0, all 1, small, one 0, one bit, or random."""
        names, dice, widths = self._core.interface.secrets, self._dice, self._core.widths
        drawn = {name: dice.getrandbits(widths[name]) for name in names}
        odd = [
            dict.fromkeys(names, 0),
            {name: (1 << widths[name]) - 1 for name in names},
            {name: drawn[name] & 0xFF for name in names},
            drawn | {names[0]: 0},
            drawn | {names[-1]: 0},
            {name: 1 << dice.randrange(widths[name]) for name in names},
        ]
        return odd[number] if number < _ODD else drawn

    def _built(self, folder: Path) -> Replayer:
        loaded = config.load(folder)
        sources = tuple(source.path for source in design.load(folder, loaded).sources)
        model = verilator.Model(
            top=self._core.top, sources=sources, main=verilator_replay.MAIN, vpi=True
        )
        out = self._work / f"model-{next(self._numbers)}"
        return verilator_replay.build(model, out, project=folder, jobs=1)

    def _run(
        self, replayer: Replayer, secrets: Mapping[str, int], observed: Sequence[str]
    ) -> Mapping[str, Sequence[int]]:
        reset = self._core.interface.reset
        cycles = [dict(inputs) for inputs in self._schedule]
        cycles[0] |= secrets
        before = {reset.signal: int(reset.active == "low")}
        stimulus = Stimulus(self._core.interface.clock, True, before, cycles)
        return replayer.run(stimulus, observed, self._work / f"run-{next(self._numbers)}").values
