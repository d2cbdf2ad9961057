"""Statements that a simulator runs under a condition, and a netlist always or never.

Part of the slang worker: runs inside the sandbox and imports only pyslang.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slang_values import kind
from slang_walk import changed

_ASSERTIONS = ("ImmediateAssertionStatement", "ConcurrentAssertionStatement")
_SHORT = ("LogicalAnd", "LogicalOr", "LogicalImplication")


def problems(node: Any) -> Iterator[tuple[Any, str]]:
    """Places and messages for `node` alone, not for what is in it."""
    name = kind(node)
    if name in _ASSERTIONS:
        for action in (node.ifTrue, node.ifFalse):
            if action is not None and _changes(action, set()):
                yield (
                    node.sourceRange.start,
                    "an assertion whose action changes a signal: a netlist leaves actions out",
                )
                return
    operands = []
    if name == "BinaryExpression" and str(node.op).rsplit(".", 1)[-1] in _SHORT:
        operands = [node.right]
    elif name == "ConditionalExpression":
        operands = [node.left, node.right]
    if any(_changes(operand, set()) for operand in operands):
        yield (
            node.sourceRange.start,
            "an operand that changes a signal and need not be evaluated: a netlist always does it",
        )


def _changes(node: Any, entered: set[str]) -> bool:
    """Whether `node` changes something that lasts: not the variables of a function it calls."""
    found: list[bool] = []

    def visit(inner: Any) -> None:
        name = kind(inner)
        if name == "AssignmentExpression":
            found.append(any(_lasts(s) for s in changed(inner.left)) or not entered)
        elif name == "UnaryExpression" and "crement" in str(inner.op):
            found.append(any(_lasts(s) for s in changed(inner.operand)) or not entered)
        elif name == "CallExpression" and not inner.isSystemCall:
            path = inner.subroutine.hierarchicalPath
            if path not in entered:
                found.append(_changes(inner.subroutine.body, {*entered, path}))

    node.visit(visit)
    return any(found)


def _lasts(symbol: Any) -> bool:
    return not getattr(symbol.parentScope, "isProceduralContext", False)
