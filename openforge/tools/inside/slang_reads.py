"""Which signals a statement or an expression reads.

Part of the slang worker: runs inside the sandbox and imports only pyslang.
"""

from __future__ import annotations

from typing import Any

from slang_values import kind
from slang_walk import changed

NAMED = ("NamedValueExpression", "HierarchicalValueExpression")
_SIGNALS = ("VariableSymbol", "NetSymbol", "ModportPortSymbol")


def reads(statement: Any, entered: set[str]) -> tuple[set[str], set[str]]:
    """The signals that `statement` reads by itself, and those that it reads in functions.

    The functions in `entered` were looked into before.
    """
    read: set[str] = set()
    written: set[str] = set()
    called: set[str] = set()

    def visit(node: Any) -> None:
        if kind(node) in NAMED and _is_signal(node.symbol):
            read.add(node.symbol.hierarchicalPath)
        elif kind(node) == "AssignmentExpression":
            written.update(symbol.hierarchicalPath for symbol in changed(node.left))
        elif kind(node) == "CallExpression" and not node.isSystemCall:
            path = node.subroutine.hierarchicalPath
            if path not in entered:
                entered.add(path)
                called.update(*reads(node.subroutine.body, entered))

    statement.visit(visit)
    return read - written, called - written


def _is_signal(symbol: Any) -> bool:
    if kind(symbol) not in _SIGNALS:
        return False
    return not getattr(symbol.parentScope, "isProceduralContext", False)
