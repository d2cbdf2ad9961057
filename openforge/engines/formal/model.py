"""Models for the proof engines: the netlist plus the goals, assumptions and resets of one task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from openforge.design import Reset
from openforge.engines.formal.netlist import Cell, Netlist
from openforge.errors import CheckFailedToRun

# Yosys merges equal cells: of two equal questions, one would go without an answer.
_KEEP = "  attribute \\keep 1\n"


class Aim(StrEnum):
    """What a goal asks: that a property always holds, or that a situation is never reached."""

    HOLDS = "holds"
    NEVER = "never"
    NEVER_ENABLED = "never enabled"
    ALIVE = "alive"
    LONG = "alive at the horizon"


@dataclass(frozen=True)
class Goal:
    """One question about the model; `name` is its cell, so it must be unique."""

    name: str
    aim: Aim
    cell: Cell | None = None


@dataclass(frozen=True)
class Model:
    """The netlist with its assumptions; `text` makes the RTLIL of one task from it."""

    netlist: Netlist
    top: str
    assumes: tuple[Cell, ...]
    horizon: int

    def skips_first(self, cell: Cell) -> bool:
        """Whether cycle 0 is left out, because a synchronous reset takes effect only after it."""
        return cell.undefined and any(not reset.asynchronous for reset in self.netlist.resets)

    def text(self, goals: Iterable[Goal], *, cover: bool = False) -> str:
        """RTLIL with `goals` as assertions, or as cover points of what must not happen."""
        lines = [self.netlist.head]
        lines += [_reset(index, reset) for index, reset in enumerate(self.netlist.resets)]
        lines += [self._assume(index, cell) for index, cell in enumerate(self.assumes)]
        lines.append(_not("of_later", "\\of_first"))
        lines += [self._goal(goal, cover) for goal in goals]
        return "".join(lines) + "end\n"

    def _assume(self, index: int, cell: Cell) -> str:
        return self._property(f"of_assume{index}", "assume", cell.condition, cell.enable, cell)

    def _goal(self, goal: Goal, cover: bool) -> str:
        name, cell = goal.name, goal.cell
        happens = self._happens(goal)
        if not cover and goal.aim is Aim.HOLDS:
            assert cell is not None
            mask = self._masked(name, cell)
            return mask + self._property(name, "assert", cell.condition, f"\\{name}_on", cell)
        if cover:
            return happens + self._property(name, "cover", f"\\{name}_happens", "1'1", cell)
        never = _not(f"{name}_never", f"\\{name}_happens")
        return happens + never + self._property(name, "assert", f"\\{name}_never", "1'1", cell)

    def _happens(self, goal: Goal) -> str:
        """Cells whose output ``NAME_happens`` says that what the goal forbids is there."""
        name, cell = goal.name, goal.cell
        if goal.aim is Aim.LONG:
            return self._reached(f"{name}_happens")
        if goal.aim is Aim.ALIVE or cell is None:
            return f"  wire \\{name}_happens\n  connect \\{name}_happens \\of_later\n"
        mask = self._masked(name, cell)
        if goal.aim is Aim.NEVER_ENABLED:
            return f"{mask}  wire \\{name}_happens\n  connect \\{name}_happens \\{name}_on\n"
        condition, extra = cell.condition, ""
        if goal.aim is Aim.HOLDS:
            extra, condition = _not(f"{name}_bad", cell.condition), f"\\{name}_bad"
        return mask + extra + _and(f"{name}_happens", condition, f"\\{name}_on")

    def _reached(self, name: str) -> str:
        """A wire that is 1 from cycle `horizon` on: a register into which ones are shifted."""
        width, shifted = self.horizon, "1'1"
        if width > 1:
            shifted = f"{{ \\of_age [{width - 2}:0] 1'1 }}"
        return (
            f"  attribute \\init {width}'{'0' * width}\n  wire width {width} \\of_age\n"
            f"  cell $ff \\of_age_register\n    parameter \\WIDTH {width}\n"
            f"    connect \\D {shifted}\n    connect \\Q \\of_age\n  end\n"
            f"  wire \\{name}\n  connect \\{name} \\of_age [{width - 1}]\n"
        )

    def _masked(self, name: str, cell: Cell) -> str:
        later = "\\of_later" if self.skips_first(cell) else "1'1"
        return _and(f"{name}_on", cell.enable, later)

    def _property(
        self, name: str, kind: str, condition: str, enable: str, cell: Cell | None
    ) -> str:
        """A property cell. In the one-clock model a step is a cycle, so the clock drops out."""
        if not self.netlist.multiclock or cell is None or not cell.trigger:
            return (
                f"{_KEEP}  cell ${kind} \\{name}\n    connect \\A {condition}\n"
                f"    connect \\EN {enable}\n  end\n"
            )
        return (
            f"{_KEEP}  cell $check \\{name}\n    parameter \\TRG_WIDTH 1\n"
            f"    parameter \\TRG_POLARITY {cell.polarity}\n    parameter \\TRG_ENABLE 1\n"
            f'    parameter \\PRIORITY 0\n    parameter \\FORMAT ""\n'
            f'    parameter \\FLAVOR "{kind}"\n    parameter \\ARGS_WIDTH 0\n'
            f"    connect \\TRG {cell.trigger}\n    connect \\EN {enable}\n"
            f"    connect \\ARGS {{ }}\n    connect \\A {condition}\n  end\n"
        )


def build(netlist: Netlist, top: str, depth: int) -> Model:
    """The model of `netlist`, in which its resets are active in cycle 0.

    Its horizon is the last of `depth` cycles: what the goal LONG asks for.

    Raises CheckFailedToRun for a kind of property that no engine here can express.
    """
    odd = [cell for cell in netlist.cells if cell.kind not in ("assert", "assume", "cover")]
    if odd:
        raise CheckFailedToRun(f"'{odd[0].kind}' properties are not supported ({odd[0].name})")
    assumes = tuple(cell for cell in netlist.cells if cell.kind == "assume")
    return Model(netlist, top, assumes, max(1, depth - 1))


def _reset(index: int, reset: Reset) -> str:
    name, signal = f"of_reset{index}", f"\\{reset.signal}"
    active = _not(f"{name}_active", signal) if reset.active_low else ""
    condition = f"\\{name}_active" if reset.active_low else signal
    return active + (
        f"  cell $assume \\{name}\n    connect \\A {condition}\n"
        "    connect \\EN \\of_first\n  end\n"
    )


def _not(name: str, signal: str) -> str:
    return (
        f"  wire \\{name}\n  cell $not \\{name}_cell\n    parameter \\A_SIGNED 0\n"
        f"    parameter \\A_WIDTH 1\n    parameter \\Y_WIDTH 1\n"
        f"    connect \\A {signal}\n    connect \\Y \\{name}\n  end\n"
    )


def _and(name: str, left: str, right: str) -> str:
    return (
        f"  wire \\{name}\n  cell $and \\{name}_cell\n    parameter \\A_SIGNED 0\n"
        f"    parameter \\A_WIDTH 1\n    parameter \\B_SIGNED 0\n    parameter \\B_WIDTH 1\n"
        f"    parameter \\Y_WIDTH 1\n    connect \\A {left}\n    connect \\B {right}\n"
        f"    connect \\Y \\{name}\n  end\n"
    )
