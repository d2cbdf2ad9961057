"""Values that depend on the order in which a simulator runs blocks at one clock edge.

Part of the slang worker: runs inside the sandbox and imports only pyslang.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slang_reads import reads
from slang_values import kind
from slang_walk import changed, edges_of, symbol_of


@dataclass
class _Clocked:
    node: Any
    at_once: set[str] = field(default_factory=set)  # assigned with =
    reads: set[str] = field(default_factory=set)


class Races:
    """What is found while the design is visited; `problems` are known at the end."""

    def __init__(self) -> None:
        self._blocks: list[_Clocked] = []
        self._next: dict[str, set[str]] = defaultdict(set)  # by logic: what depends on a signal
        self._clocks: set[str] = set()
        self._late: list[tuple[Any, set[str]]] = []  # logic with <=, and what it assigns

    def visit(self, node: Any) -> None:
        """Take in one node of the design."""
        name = kind(node)
        if name == "ProceduralBlockSymbol":
            self._block(node)
        elif name == "ContinuousAssignSymbol" and kind(node.assignment) == "AssignmentExpression":
            self._flow(node.assignment.right, changed(node.assignment.left))
        elif name == "NetSymbol" and node.initializer is not None:
            self._flow(node.initializer, [node])
        elif name == "InstanceSymbol":
            for connection in node.portConnections:
                self._connection(connection)

    def _block(self, node: Any) -> None:
        body = node.body
        edges = edges_of(body.timing) if kind(body) == "TimedStatement" else []
        statement = body.stmt if kind(body) == "TimedStatement" else body
        at_once, late = _assigned(statement)
        read, called = reads(statement, set())
        if edges:
            symbols = (symbol_of(edge.expr) for edge in edges)
            self._clocks |= {s.hierarchicalPath for s in symbols if s is not None}
            self._blocks.append(_Clocked(node, at_once, read | called))
        elif not str(node.procedureKind).endswith(("Initial", "Final")):
            for path in read | called:
                self._next[path] |= at_once | late
            if late:
                self._late.append((node, late))

    def _flow(self, expression: Any, targets: list[Any]) -> None:
        read, called = reads(expression, set())
        for path in read | called:
            self._next[path] |= {symbol.hierarchicalPath for symbol in targets}

    def _connection(self, connection: Any) -> None:
        inner = getattr(connection.port, "internalSymbol", None)
        outer = connection.expression
        if inner is None or outer is None:
            return
        if kind(outer) == "AssignmentExpression":  # an output drives what it is connected to
            self._next[inner.hierarchicalPath] |= {
                symbol.hierarchicalPath for symbol in changed(outer.left)
            }
        else:
            self._flow(outer, [inner])

    def problems(self) -> Iterator[tuple[Any, str]]:
        """Places and messages."""
        for block in self._blocks:
            for path in sorted(block.at_once):
                reached = self._reached(path)
                if any(reached & other.reads for other in self._blocks if other is not block):
                    yield (
                        block.node.location,
                        f"'{path.rpartition('.')[2]}' is assigned with = at a clock edge and read "
                        "at one by another block: whether that sees the old or the new value is "
                        "open; use <=",
                    )
        for node, late in self._late:
            if any(self._reached(path) & self._clocks for path in late):
                yield (
                    node.location,
                    "a clock that is assigned with <= comes later than the one it is made of; "
                    "use assign",
                )

    def _reached(self, path: str) -> set[str]:
        """What depends on a signal by logic, itself included."""
        seen, todo = {path}, [path]
        while todo:
            fresh = self._next.get(todo.pop(), set()) - seen
            seen |= fresh
            todo += fresh
        return seen


def _assigned(statement: Any) -> tuple[set[str], set[str]]:
    """The signals that a statement assigns with = and with <=; counters of loops are left out."""
    at_once: set[str] = set()
    late: set[str] = set()
    counters: set[str] = set()

    def visit(node: Any) -> None:
        if kind(node) == "ForLoopStatement":
            for expression in (*node.initializers, *node.steps):
                inner = expression.left if kind(expression) == "AssignmentExpression" else None
                inner = expression.operand if kind(expression) == "UnaryExpression" else inner
                for symbol in changed(inner) if inner is not None else ():
                    counters.add(symbol.hierarchicalPath)
        elif kind(node) == "AssignmentExpression":
            paths = {
                symbol.hierarchicalPath
                for symbol in changed(node.left)
                if not getattr(symbol.parentScope, "isProceduralContext", False)
            }
            (late if node.isNonBlocking else at_once).update(paths)

    statement.visit(visit)
    return at_once - counters, late
