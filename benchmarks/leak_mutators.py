"""Planting timing leaks in a core: which statement is changed, and on which condition.

A condition is drawn from what a run of the clean core had in its registers when the statement was
executed, so that it is true in that run: its secrets are one half of a witness by construction.

*Limits:* cores with one clocked process of the form ``if (reset) ... else ...``. None of the cores
of this project has an address output; the kind ADDRESS gives them one, `PORT`, which is observed.
"""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from leak_conditions import Condition, Style, condition, part
from leak_source import Assignment, Core

PORT, HELD, SIDE = "planted_fetch", "planted_q", "planted_side_q"
_LITERAL = re.compile(r"[\w']+|\w+'\(\d+\)")


class Kind(StrEnum):
    """How the timing is made to depend on a secret; the last four are neutral."""

    EARLY = "early exit"
    SKIP = "skipped step"
    STALL = "stall"
    WAIT = "variable wait"
    ADDRESS = "address"
    DATA = "neutral: data"
    PUBLIC = "neutral: public condition"
    FETCH = "neutral: public address"
    BALANCED = "neutral: balanced"


LEAKS = (Kind.EARLY, Kind.SKIP, Kind.STALL, Kind.WAIT, Kind.ADDRESS)
NEUTRAL = (Kind.DATA, Kind.PUBLIC, Kind.FETCH, Kind.BALANCED)


@dataclass(frozen=True)
class Probe:
    """What the clean core did: `values` by run and name, a value a cycle; `active` cycles by block.

    `active` holds pairs of a run and a cycle. `secrets` are the secret inputs of each run.
    """

    secrets: tuple[Mapping[str, int], ...]
    values: tuple[Mapping[str, Sequence[int]], ...]
    active: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True)
class Mutation:
    """A change of the core's text: `edits` replace from, to; the first is where it is found.

    `run` is the number of the probe's run in which the condition is true.
    """

    kind: Kind
    edits: tuple[tuple[int, int, str], ...]
    says: str
    condition: Condition | None
    run: int
    observes: str = ""

    def text(self, core: Core) -> str:
        """The mutated source."""
        text = core.text
        order = sorted(enumerate(self.edits), key=lambda e: (e[1][0], e[1][1], e[0]))
        for _, (start, end, new) in reversed(order):
            text = text[:start] + new + text[end:]
        return text

    def line(self, core: Core) -> int:
        """The line of the first edit, in the mutated source."""
        start, _, new = self.edits[0]
        before = core.text[:start].count("\n") + 1
        before += sum(e[2].count("\n") for e in self.edits[1:] if e[0] < start)
        return before + (new[: len(new) - len(new.lstrip())].count("\n"))


def write(core: Core, mutation: Mutation, folder: Path) -> None:
    """The mutated project, complete, in the new `folder`."""
    shutil.copytree(core.folder, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / core.file).write_text(mutation.text(core), encoding="utf-8")
    if mutation.observes:
        settings = folder / "openforge.yaml"
        text = settings.read_text(encoding="utf-8")
        text = re.sub(r"(observables: \[[^\]]*)\]", rf"\1, {mutation.observes}]", text)
        settings.write_text(text, encoding="utf-8")


def draw(
    core: Core, probe: Probe, kind: Kind, style: Style, dice: random.Random
) -> Mutation | None:
    """A mutation of this kind, its condition of this style; None where the core has none."""
    return _Draw(core, probe, kind, style, dice).mutation()


class _Draw:
    """One mutation in the making."""

    def __init__(
        self, core: Core, probe: Probe, kind: Kind, style: Style, dice: random.Random
    ) -> None:
        self._core, self._probe, self._kind = core, probe, kind
        self._style, self._dice = style, dice
        self._run = 0
        self._public = kind in (Kind.PUBLIC, Kind.FETCH)

    def mutation(self) -> Mutation | None:
        makers: dict[Kind, Callable[[], Mutation | None]] = {
            Kind.EARLY: self._early,
            Kind.SKIP: self._skip,
            Kind.STALL: self._stall,
            Kind.WAIT: self._wait,
            Kind.ADDRESS: self._address,
            Kind.FETCH: self._address,
            Kind.DATA: self._data,
            Kind.BALANCED: self._balanced,
        }
        if self._kind is not Kind.PUBLIC:
            return makers[self._kind]()
        return makers[self._dice.choice(LEAKS[:4])]()

    def _early(self) -> Mutation | None:
        if not self._core.done or not (block := self._operating()):
            return None
        ends = {self._core.done: "1'b1"}
        ends |= {name: self._core.resets[name] for name in self._core.phases}
        does = " ".join(f"{name} <= {value};" for name, value in ends.items())
        return self._in_block(block, lambda cond: f"if ({cond}) begin {does} end", "ends there")

    def _skip(self) -> Mutation | None:
        options = [
            (one, other)
            for one in self._core.assignments
            if one.target in self._core.control and (other := self._skipping(one))
        ]
        if not options:
            return None
        one, other = self._dice.choice(options)
        cond = self._condition(one.block)
        if cond is None:
            return None
        new = other.replace("COND", f"({cond.text})")
        says = f"{one.target} {'is left out' if '!COND' in other else 'goes a step further'}"
        return self._made([(one.start, one.end, new)], says, cond)

    def _skipping(self, one: Assignment) -> str:
        """The value with a step left out; empty where it is no step."""
        counted = re.fullmatch(rf"{one.target} ([+-]) ([\w']+)", one.value)
        if counted:
            return f"{one.value} {counted[1]} (COND ? {counted[2]} : '0)"
        states = self._core.states.get(one.target, ())
        for place, state in enumerate(states[1:-1], 1):
            if re.search(rf"\b{state}$", one.value):
                return one.value[: -len(state)] + f"(COND ? {states[place + 1]} : {state})"
        plain = self._core.widths[one.target] == 1 and re.fullmatch(r"\w+", one.value)
        return f"{one.value} && !COND" if plain else ""

    def _stall(self) -> Mutation | None:
        cond = self._condition(0)
        if cond is None:
            return None
        length = self._dice.choice((1, 1, 2, 3, 5))
        says = f"stalls for {length} cycle{'s' if length > 1 else ''}"
        if self._core.wires:
            name = self._dice.choice(list(self._core.wires))
            start, end = self._core.wires[name]
            held = f"({cond.text}) && {HELD} != 3'd{length}"
            value = f"({self._core.text[start:end].strip()}) && !({held})"
            step = f"\n      {HELD} <= {held} ? {HELD} + 3'd1 : '0;\n"
            edits = [(start, end, value), *self._register(HELD, 3), self._at(0, step)]
            return self._made(edits, f"{name} {says}", cond)
        busy = " || ".join(f"{name} != {self._core.resets[name]}" for name in self._core.phases)
        when = f"{HELD} != 3'd{length} && ({busy}) && ({cond.text})"
        return self._wrapped(when, f"{HELD} <= {HELD} + 3'd1;", f"{HELD} <= '0;", says, cond)

    def _wait(self) -> Mutation | None:
        block = self._dice.choice(range(1, len(self._core.blocks)))
        cond = self._condition(block)
        width = self._dice.randint(2, 4)
        if cond is None:
            return None
        bits = self._slice_of(width, block)
        if self._style in (Style.BIT, Style.FEW) and bits:
            value, cond, says = bits, None, f"waits for as many cycles as {bits} says"
        elif bits and self._dice.random() < 0.5:
            value, says = f"({cond.text}) ? {bits} : '0", f"waits for {bits} cycles"
        else:
            number = self._dice.randrange(1, 1 << width)
            value, says = f"({cond.text}) ? {width}'d{number} : '0", f"waits for {number} cycles"
        load = self._at(block, f"  {HELD} <= {value};\n      ")
        body = self._core.blocks[0]
        head = f"\n      if ({HELD} != '0) {HELD} <= {HELD} - {width}'d1;\n      else begin"
        edits = [load, (body.begin, body.begin, head), self._at(0, "end\n    ")]
        return self._made([*edits, *self._register(HELD, width)], says, cond)

    def _address(self) -> Mutation | None:
        block = self._operating()
        cond = self._condition(block) if block else None
        if not block or cond is None:
            return None
        counters = [n for n in self._core.control if self._core.widths[n] > 1 and self._counts(n)]
        width = self._dice.randint(2, 5)
        bits = self._slice_of(width, block)
        if bits and self._style in (Style.BIT, Style.FEW):
            value, says, cond = bits, f"{PORT} is {bits}", None
        elif counters and self._dice.random() < 0.6:
            name = self._dice.choice(sorted(counters))
            value, width = f"({cond.text}) ? ~{name} : {name}", self._core.widths[name]
            says = f"{PORT} is {name}, or its complement"
        else:
            value, width, says = f"({cond.text})", 1, f"{PORT} requests"
        size = f"[{width - 1}:0] " if width > 1 else ""
        port = f"  , output logic {size}{PORT}\n"
        edits = [
            self._at(block, f"  {PORT} <= {value};\n      "),
            (self._core.ports_end, self._core.ports_end, port),
            (self._core.reset_end, self._core.reset_end, f"  {PORT} <= '0;\n    "),
        ]
        return self._made(edits, says, cond, PORT)

    def _data(self) -> Mutation | None:
        options = [
            one
            for one in self._core.assignments
            if one.target in self._core.secret and not _LITERAL.fullmatch(one.value)
        ]
        one = self._dice.choice(options)
        cond = self._condition(one.block)
        if cond is None:
            return None
        new = f"({cond.text}) ? ~({one.value}) : ({one.value})"
        return self._made([(one.start, one.end, new)], f"{one.target} is inverted", cond)

    def _balanced(self) -> Mutation | None:
        """A stall of one cycle, early or late in an operation as a secret says."""
        accepting = [n for n, b in enumerate(self._core.blocks) if n and b.accepts]
        options = [
            (name, pair)
            for name in sorted(self._core.control)
            if self._core.widths[name] > 1 and (pair := self._alike(name))
        ]
        if not options or not self._core.done:
            return None
        name, (one, two) = self._dice.choice(options)
        cond = self._condition(accepting[0])
        if cond is None:
            return None
        width = self._core.widths[name]
        when = f"{HELD} == '0 && {name} == ({SIDE} ? {width}'d{one} : {width}'d{two})"
        says = f"stalls for a cycle where {name} is {one} or else {two}"
        made = self._wrapped(when, f"{HELD} <= 3'd1;", f"{HELD} <= '0;", says, cond)
        load = self._at(accepting[0], f"  {SIDE} <= {cond.text};\n      ")
        return self._made([*made.edits, *self._register(SIDE, 1), load], says, cond)

    def _alike(self, name: str) -> tuple[int, int] | None:
        """Two values that `name` has equally long in an operation, and never outside of one."""
        values = self._probe.values[0]
        busy = [self._goes_on(0, n) for n in range(len(values[name]))]
        last = max(n for n, it_is in enumerate(busy) if not it_is)
        inside = Counter(v for n, v in enumerate(values[name][:last]) if busy[n])
        outside = {v for n, v in enumerate(values[name]) if not busy[n]}
        usable = [v for v in inside if v not in outside]
        pairs = [(a, b) for a in usable for b in usable if a != b and inside[a] == inside[b]]
        return self._dice.choice(pairs) if pairs else None

    def _operating(self) -> int:
        """A block that is executed within an operation; 0 if there is none."""
        found = [n for n, block in enumerate(self._core.blocks) if n and not block.accepts]
        return self._dice.choice(found or [0])

    def _counts(self, name: str) -> bool:
        return name not in self._core.states and name != self._core.done

    def _names(self, block: int) -> list[str]:
        """The registers that a condition may be about, or the inputs where these are taken."""
        core = self._core
        if self._public:
            clean = [name for name in core.clean if name not in (core.done, *core.phases)]
            return [*clean, *core.public]
        return list(core.interface.secrets if block and core.blocks[block].accepts else core.secret)

    def _condition(self, block: int) -> Condition | None:
        """A condition that is true in some cycle in which the block is executed."""
        active = self._probe.active[block]
        if not block:  # the whole process: only where something goes on
            active = tuple(sample for sample in active if self._goes_on(*sample))
        if not active:
            return None
        self._run, cycle = self._dice.choice(active)
        values = {n: column[cycle] for n, column in self._probe.values[self._run].items()}
        return condition(self._style, self._names(block), self._core.widths, values, self._dice)

    def _goes_on(self, run: int, cycle: int) -> bool:
        values = self._probe.values[run]
        return any(values[name][cycle] != values[name][0] for name in self._core.phases)

    def _slice_of(self, width: int, block: int) -> str:
        names = [name for name in self._names(block) if self._core.widths[name] >= width]
        if not names:
            return ""
        name = self._dice.choice(names)
        low = self._dice.randrange(self._core.widths[name] - width + 1)
        return part(name, low + width - 1, low, self._core.widths)

    def _in_block(self, block: int, does: Callable[[str], str], says: str) -> Mutation | None:
        cond = self._condition(block)
        if cond is None:
            return None
        return self._made([self._at(block, f"  {does(cond.text)}\n      ")], says, cond)

    def _wrapped(self, when: str, held: str, free: str, says: str, cond: Condition) -> Mutation:
        """The process held as it is `when`, and otherwise what it was."""
        body = self._core.blocks[0]
        head = f"\n      if ({when}) {held}\n      else begin\n      {free}"
        edits = [(body.begin, body.begin, head), self._at(0, "end\n    ")]
        return self._made([*edits, *self._register(HELD, 3)], says, cond)

    def _at(self, block: int, text: str) -> tuple[int, int, str]:
        end = self._core.blocks[block].end
        return end, end, text

    def _register(self, name: str, width: int) -> list[tuple[int, int, str]]:
        start, reset = self._core.declarations, self._core.reset_end
        size = f"[{width - 1}:0] " if width > 1 else ""
        return [
            (start, start, f"\n  logic {size}{name};"),
            (reset, reset, f"  {name} <= '0;\n    "),
        ]

    def _made(
        self,
        edits: Sequence[tuple[int, int, str]],
        says: str,
        cond: Condition | None,
        observes: str = "",
    ) -> Mutation:
        says = f"{says} if {cond.text}" if cond else says
        return Mutation(self._kind, tuple(edits), says, cond, self._run, observes)
