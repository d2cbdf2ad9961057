"""Is a proof about anything? Whether each condition, and the assumptions, can be fulfilled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openforge.engines.formal.model import Aim, Goal
from openforge.engines.formal.netlist import Cell
from openforge.engines.formal.portfolio import Outcome, Prover, Word

ALIVE = Goal("of_alive", Aim.ALIVE)
LONG = Goal("of_long", Aim.LONG)


@dataclass(frozen=True)
class Reach:
    """What was reached. An outcome is FAILED when "never" is wrong, PROVEN when it is right."""

    outcomes: dict[str, Outcome]
    contradiction: int | None

    @property
    def contradictory(self) -> str:
        """Why nothing can be checked under the assumptions, "" when something can."""
        if self._word(ALIVE) is Word.PROVEN:
            return "no run at all fulfils the assumptions"
        if self.contradiction is not None:
            return f"no run fulfils the assumptions beyond cycle {self.contradiction}"
        if self._word(LONG) is Word.PROVEN:
            return "no run fulfils the assumptions for as many cycles as the depth"
        return ""

    @property
    def unknown(self) -> str:
        """Why a proof may be about nothing though no contradiction was found, "" if it is not."""
        if self._word(ALIVE) is Word.FAILED:
            return ""
        return "proven, but no run that fulfils the assumptions was found in time"

    @property
    def bound(self) -> str:
        """For how long assumptions were seen to hold, "" if there are none or no run was seen."""
        if LONG.name not in self.outcomes or self.unknown:
            return ""
        seen = self.outcomes[LONG.name]
        for_long = (
            f"for {(seen.step or 0) + 1} cycles" if seen.word is Word.FAILED else "in cycle 1"
        )
        return (
            f"a run that fulfils the assumptions was seen {for_long}; that runs can go on after "
            "that is not checked, and a property is proven only for as long as they do"
        )

    def _word(self, goal: Goal) -> Word | None:
        outcome = self.outcomes.get(goal.name)
        return outcome.word if outcome else None


def constant(cell: Cell) -> str:
    """Why the property in `cell` says nothing whatever the design does, "" when it may."""
    if cell.enable in ("1'0", "0"):
        return "its condition is constant false, so it is never checked"
    if cell.constant:
        return "constant: it is true whatever the design does"
    return ""


def enabled(index: int) -> str:
    """Name of the goal "property `index` is never checked"."""
    return f"of_enabled{index}"


def covered(index: int) -> str:
    """Name of the goal "cover point `index` is never reached"."""
    return f"of_cover{index}"


def goals(cells: Sequence[Cell]) -> list[Goal]:
    """What must be reachable: a run, the condition of each assertion, each cover point.

    With assumptions a run must last for the whole depth, too.
    """
    found = [ALIVE, LONG] if any(cell.kind == "assume" for cell in cells) else [ALIVE]
    for index, cell in enumerate(cells):
        if cell.kind == "cover":
            found.append(Goal(covered(index), Aim.NEVER, cell))
        elif cell.kind == "assert" and not constant(cell) and cell.enable not in ("1'1", "1"):
            found.append(Goal(enabled(index), Aim.NEVER_ENABLED, cell))
    return found


def examine(prover: Prover, wanted: Sequence[Goal]) -> Reach:
    """Look for each of `wanted` within the depth; prove those unreachable that are not found."""
    outcomes = prover.cover(wanted, share=0.5)
    rest = [goal for goal in wanted if _open(outcomes.get(goal.name))]
    if rest:
        for name, outcome in prover.decide(rest, prove=True).items():
            seen = outcomes.get(name)
            weaker = outcome.word in (Word.BOUNDED, Word.BROKEN) and seen is not None
            if not (weaker and seen is not None and (seen.depth or 0) >= (outcome.depth or 0)):
                outcomes[name] = outcome
    return Reach(outcomes, prover.contradiction)


def _open(outcome: Outcome | None) -> bool:
    return outcome is None or outcome.word is Word.BOUNDED
