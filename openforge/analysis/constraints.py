"""Values of inputs with which all assumptions hold: random solutions of one cycle."""

from __future__ import annotations

import random
from collections.abc import Mapping

from openforge.analysis.induction import GAVE_UP, Encoded
from openforge.analysis.machine import Machine, Origin, UnsupportedError
from openforge.analysis.two_safety import Question

_SOLUTIONS = 64


class ContradictionError(ValueError):
    """No inputs fulfil the assumptions."""


def solutions(question: Question, machine: Machine, seed: int) -> list[Mapping[int, int]]:
    """Different values, by net, of the inputs that assumptions depend on; none if there are none.

    Where they depend on secrets, every other solution has the public part of the one before it.
    State that they depend on (what an input was in the cycle before) is chosen to fit.
    Raises ContradictionError, UnsupportedError.
    """
    goals = [machine.literal(net) for net in question.assumed]
    if not goals:
        return []
    draw = random.Random(seed)  # noqa: S311  (stimuli, not keys)
    nodes = machine.aig.cone(goals)
    inputs = [
        variable
        for variable in machine.variables
        if variable.origin is Origin.INPUT and variable.literal >> 1 in nodes
    ]
    constants = question.constants
    fixed = [v.literal ^ (constants[v.net] == 0) for v in inputs if v.net in constants]
    public = [v for v in inputs if v.net not in question.secret]
    twins = len(public) < len(inputs)
    found: list[Mapping[int, int]] = []
    same: list[int] = []
    with Encoded(machine.aig, goals) as solver:
        while len(found) < _SOLUTIONS:
            solver.prefer(v.literal ^ draw.getrandbits(1) for v in inputs)
            model = solver.some([*goals, *fixed, *same], [1])
            if same and (model is None or model is GAVE_UP):
                same = []  # no other secret goes with that public part
                continue
            if model is None or model is GAVE_UP:
                break
            found.append({v.net: int(model(v.literal)) for v in inputs})
            chosen = {v: v.literal ^ (not model(v.literal)) for v in inputs}
            solver.forbid(chosen.values())
            same = [chosen[v] for v in public] if twins and not same else []
    if not found and model is GAVE_UP:
        raise UnsupportedError("the assumptions are too hard to be solved")
    if not found:
        raise ContradictionError("no inputs fulfil all assumptions at once")
    return found
