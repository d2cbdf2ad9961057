"""Coverage goals: which are missed, and which cannot be judged at all."""

from __future__ import annotations

from collections.abc import Mapping

from openforge.config import SimulationSection
from openforge.engines.simulation.coverage import Share
from openforge.model import Finding, Level

KINDS = ("line", "branch", "toggle", "user", "fsm")


def missed(params: SimulationSection, shares: Mapping[str, Share]) -> tuple[Finding, ...]:
    """A finding for each goal that is not reached."""
    return tuple(
        Finding(
            rule="coverage-goal",
            level=Level.ERROR,
            tool="openforge",
            message=f"{kind} coverage is {share.percent} % ({share.hit} of {share.total}), "
            f"the goal is {goal:g} %",
        )
        for kind, share in shares.items()
        if (goal := getattr(params.coverage_goals, kind)) is not None and not share.reaches(goal)
    )


def unmeasured(params: SimulationSection, shares: Mapping[str, Share]) -> tuple[str, ...]:
    """A sentence for each goal above zero whose kind of coverage was not measured."""
    found = []
    for kind in KINDS:
        goal = getattr(params.coverage_goals, kind)
        if goal and kind not in shares:
            why = "the design has nothing of that kind that could be covered"
            if params.tool == "icarus" and kind != "fsm":
                why = (
                    "Icarus Verilog does not measure it; "
                    "set verification.simulation.tool to verilator"
                )
            found.append(f"there is a goal for {kind} coverage, but {why}")
    return tuple(found)
