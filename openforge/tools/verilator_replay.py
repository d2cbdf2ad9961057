"""Replaying a stimulus on Verilator: what a counterexample found elsewhere does on this engine.

A model is built once and run with any number of stimuli. A cycle has four steps: registers and
memory words are overwritten (`Stimulus.pokes`) and the inputs set while the clock is inactive; the
design settles and every observed signal is read; the active edge; the inactive edge. What a
register takes at the edge of cycle n is therefore seen in the sample of cycle n + 1.

Limits: there are two states, so what has no initial value is 0. There is no edge before cycle 0:
what `Stimulus.before` holds is there from the beginning. Delays are kept, a ``#1`` being a tenth of
a cycle, and one that reaches over half a cycle is refused. A register that is poked while its
asynchronous reset is held keeps the poked value until the next edge, as in any simulator that is
driven by events. A failing assertion, ``$error`` and ``$stop`` are in the log and change nothing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from openforge.errors import DesignError, ToolError
from openforge.tools import links, process, verilator, verilator_build, verilator_symbols
from openforge.tools.verilator_runtime import COMPAT
from openforge.tools.verilator_symbols import Element, Symbols

MAIN = COMPAT / "replay_main.cpp"
CYCLE_UNITS = 10
"""Time units of the waveform in a cycle: inputs at 10 n, the active edge at 10 n + 5."""

LIMITS = process.Limits(timeout_s=300, memory_bytes=4 << 30, processes=64)
_OPTIONS = ("--x-initial", "0", "--x-assign", "0", "--timescale-override", "1ns/1ns")
_STIMULUS, _SAMPLES, _WAVEFORM = "replay.stimulus", "replay.samples", "replay.fst"
_REFUSED = 3
_MAX_BYTES = 1 << 30
_UNSETTLED = re.compile(r"%Error(?:-DIDNOTCONVERGE)?: .*did not converge")
_NOT_LOADED = re.compile(
    r"%Warning: (.+):0: \$readmem file not found|\$readmem[bh]: Unable to open (.+) for reading"
)


@dataclass(frozen=True)
class Poke:
    """A register or a word of a memory that is overwritten, once.

    Attributes
    ----------
    name
        Hierarchical, below the top: ``u_core.key_reg``, ``gen[0].r``. An escaped identifier starts
        with a backslash and ends with a blank.
    word
        The index as declared, for a memory (of more than one dimension: the last index, the others
        are in the name); None for anything else.
    value
        Unsigned; bit 0 is the rightmost bit of the packed value.
    """

    name: str
    word: int | None
    value: int


@dataclass(frozen=True)
class Stimulus:
    """What drives a design, cycle by cycle.

    Inputs are named as the top's ports, an element of an unpacked array as ``lanes[2]``. Values are
    unsigned; bit 0 is the rightmost bit of the packed value. An input that a cycle does not name
    keeps its value; one that was never named is 0.

    Attributes
    ----------
    clock
        The input that is the clock, of one bit; None for a design without registers.
    rising
        Whether the rising edge is the active one.
    before
        Inputs before cycle 0, with the reset inactive: an asynchronous reset acts by its edge.
    cycles
        Inputs of each cycle; there are as many cycles as entries.
    pokes
        What is overwritten at the beginning of a cycle, by cycle.
    """

    clock: str | None
    rising: bool
    before: Mapping[str, int]
    cycles: Sequence[Mapping[str, int]]
    pokes: Mapping[int, Sequence[Poke]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """What a replay showed.

    Attributes
    ----------
    values
        By observed name one value a cycle, unsigned, read before the cycle's active edge.
    waveform
        The FST file of the run, of all signals; `CYCLE_UNITS` time units a cycle.
    """

    values: Mapping[str, tuple[int, ...]]
    waveform: Path


@dataclass(frozen=True)
class Replayer:
    """A model that was built for replays. Runs are independent and can be in several threads."""

    symbols: Symbols
    executable: Path
    project: Path

    def run(
        self,
        stimulus: Stimulus,
        observe: Sequence[str],
        out: Path,
        *,
        limits: process.Limits = LIMITS,
    ) -> Trace:
        """The values of the signals `observe` under `stimulus`; files go to the new folder `out`.

        The program's output is in a file beside it, named as `out` with ``.log``.

        A name in `observe` is a port of the top or a signal below it, as in `Poke`; a word of a
        memory is ``mem[3]``.

        Raises DesignError when the design ends the simulation itself, does not settle, or has
        delays of half a cycle; ToolError for names and values that the model does not have, for a
        poke of something that is no register, and when the program fails or hits a limit.
        """
        request = _Request(self.symbols)
        text = "".join(request.text(stimulus, observe))
        out.mkdir(parents=True)
        (out / _STIMULUS).write_text(text, encoding="ascii")
        links.show(self.project, out, without=(_SAMPLES, _WAVEFORM))
        lines: list[str] = []
        ended = process.run(
            [self.executable, _STIMULUS, _SAMPLES, _WAVEFORM],
            cwd=out,
            log=out.with_name(f"{out.name}.log"),  # where the design cannot write
            limits=limits,
            readable=[self.executable.parent, self.project],
            writable=[out],
            on_line=lambda line: lines.append(line) if _TOLD.search(line) else None,
        )
        self._refuse_output(lines, ended)
        ended.expect(f"the replay of '{self.symbols.top}'", codes=(0, _REFUSED))
        samples = _text(out / _SAMPLES).splitlines()
        if ended.returncode == _REFUSED:
            raise self._refusal(samples[-1:], request.names, ended.log)
        return Trace(
            values=_values(samples, observe, len(stimulus.cycles), ended.log),
            waveform=_waveform(out / _WAVEFORM, ended.log),
        )

    def _refuse_output(self, lines: Sequence[str], ended: process.Completed) -> None:
        for line in lines:
            missing = _NOT_LOADED.search(line)
            if missing:
                raise DesignError(
                    f"$readmem did not find '{missing[1] or missing[2]}', so the memory was never "
                    f"loaded (log: {ended.log})"
                )
        if lines and not ended.ok:
            raise DesignError(f"'{self.symbols.top}' never settles: {lines[0]} (log: {ended.log})")

    def _refusal(self, told: Sequence[str], names: Sequence[str], log: Path) -> Exception:
        """The exception for the last line of the samples of a replay that could not go on."""
        words = told[0].split() if told else []
        match words:
            case ["finish", cycle]:
                return DesignError(
                    f"'{self.symbols.top}' ended the simulation itself ($finish or $fatal) "
                    f"in cycle {cycle} (log: {log})"
                )
            case ["delay", cycle]:
                return DesignError(
                    f"'{self.symbols.top}' has planned something for later than half a cycle, in "
                    f"cycle {cycle}: a delay of 5 or more, or a clock of its own. A replay counts "
                    f"cycles, a #1 being a tenth of one (log: {log})"
                )
            case ["driven", number, cycle] if number.isdecimal() and int(number) < len(names):
                return ToolError(
                    f"'{names[int(number)]}' does not keep what is written to it in cycle {cycle}: "
                    "something drives it; poke registers and words of memories",
                    log,
                )
        return ToolError(f"the replay ended with {' '.join(words) or 'nothing'!r}", log)


def build(model: verilator.Model, out: Path, *, project: Path, jobs: int) -> Replayer:
    """The replayer of `model`, built in the new folder `out`.

    Of `model`, the coverage is left out, and `main` and `vpi` are the replayer's own (`MAIN`).
    `project` is what Verilator, and later the design's ``$readmem``, may read.

    Raises DesignError when Verilator rejects the design, ToolError when a tool fails.
    """
    if model.top == verilator_symbols.PORTS:
        raise DesignError(f"a top module named {model.top} cannot be told from Verilator's own")
    mine = replace(
        model, main=MAIN, vpi=True, coverage=frozenset(), options=(*model.options, *_OPTIONS)
    )
    executable = verilator_build.build(mine, out, project=project, jobs=jobs)
    return Replayer(verilator_symbols.read(out, model.top), executable, project)


class _Request:
    """A stimulus as the replay program reads it. Signals are numbered in the order of their use."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._numbers: dict[Element, int] = {}
        self.names: list[str] = []

    def text(self, stimulus: Stimulus, observe: Iterable[str]) -> Iterator[str]:
        """The whole text, in pieces. Raises ToolError for what the model does not have."""
        clock = self._clock(stimulus.clock) if stimulus.clock is not None else None
        observed = [self._number(self._symbols.signal(name), name) for name in observe]
        before = self._inputs(stimulus.before, stimulus.clock)
        cycles = []
        strange = sorted(n for n in stimulus.pokes if not 0 <= n < len(stimulus.cycles))
        if strange:
            raise ToolError(f"there are pokes for cycle {strange[0]}, which the stimulus lacks")
        for number, inputs in enumerate(stimulus.cycles):
            cycles.append(("pokes", self._pokes(stimulus.pokes.get(number, ()))))
            cycles.append(("inputs", self._inputs(inputs, stimulus.clock)))
        yield f"signals {len(self._numbers)}\n"
        for element in self._numbers:
            variable, indices = element.variable, element.indices
            yield " ".join(map(str, (variable.bits, len(indices), *indices)))
            yield f"\n{variable.scope}\n{variable.name}\n"
        none = len(self._numbers)  # one past the last signal
        yield f"rising {int(stimulus.rising)}\nclock {none if clock is None else clock}\n"
        yield " ".join(map(str, ("observe", len(observed), *observed)))
        yield f"\ncycles {len(stimulus.cycles)}\n"
        for keyword, settings in [("before", before), *cycles]:
            yield f"{keyword} {len(settings)}"
            yield from (f" {number} {value:x}" for number, value in settings.items())
            yield "\n"
        yield "end\n"

    def _number(self, element: Element, name: str) -> int:
        if element not in self._numbers:
            self.names.append(name)
        return self._numbers.setdefault(element, len(self._numbers))

    def _clock(self, name: str) -> int:
        element = self._symbols.input(name)
        if element.variable.bits != 1:
            raise ToolError(f"the clock '{name}' has {element.variable.bits} bits, not 1")
        return self._number(element, name)

    def _inputs(self, inputs: Mapping[str, int], clock: str | None) -> dict[int, int]:
        if clock in inputs:
            raise ToolError(f"'{clock}' is the clock; it is not among the inputs of a cycle")
        return self._settings(
            (self._symbols.input(name), name, value) for name, value in inputs.items()
        )

    def _pokes(self, pokes: Iterable[Poke]) -> dict[int, int]:
        return self._settings(
            (
                self._symbols.signal(poke.name, poke.word),
                poke.name if poke.word is None else f"{poke.name}[{poke.word}]",
                poke.value,
            )
            for poke in pokes
        )

    def _settings(self, settings: Iterable[tuple[Element, str, int]]) -> dict[int, int]:
        found: dict[int, int] = {}
        for element, name, value in settings:
            number = self._number(element, name)
            if number in found:
                raise ToolError(f"'{name}' is set twice at the same time")
            if not 0 <= value < 1 << element.variable.bits:
                raise ToolError(f"{value:#x} does not fit '{name}', of {element.variable.bits} bit")
            found[number] = value
        return found


_TOLD = re.compile(f"{_UNSETTLED.pattern}|{_NOT_LOADED.pattern}")


def _values(
    samples: Sequence[str], observe: Sequence[str], n_cycles: int, log: Path
) -> dict[str, tuple[int, ...]]:
    """The values by name, from the lines of the samples. Raises ToolError unless all are there."""
    try:
        if len(samples) != n_cycles + 1 or samples[-1] != "end":
            raise ValueError
        rows = [[int(word, 16) for word in line.split()] for line in samples[:-1]]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(observe)
        return dict(zip(observe, columns if observe else [], strict=True))
    except ValueError:
        raise ToolError("the replay left samples that are not complete", log) from None


def _waveform(path: Path, log: Path) -> Path:
    if path.is_symlink() or not path.is_file():
        raise ToolError("the replay left no waveform", log)
    return path


def _text(path: Path) -> str:
    """The text of a file that the design's program wrote. Raises ToolError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_BYTES:
                raise ToolError(f"{path.name} is not a regular file of reasonable size")
            return file.read(_MAX_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise ToolError(f"the replay left no {path.name}: {error.strerror}") from None
