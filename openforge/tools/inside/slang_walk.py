"""What an elaborated design holds: ports, clocks, resets, registers.

Part of the slang worker: runs inside the sandbox and imports only pyslang.
"""

from __future__ import annotations

import re
from typing import Any

from pyslang import ast
from slang_properties import properties_of
from slang_values import Env, key, kind, operator, unwrapped

RESET_NAME = re.compile(r"(^|_)(a|s|n)?(rst|reset)(n|b|i|l)?(_?(n|b|i|ni|l))?($|_)", re.IGNORECASE)
CLEAR_NAME = re.compile(r"(^|_)(clr|clear)(_?(n|b|i|ni|l))?($|_)", re.IGNORECASE)
DIRECTIONS = {"In": "input", "Out": "output", "InOut": "inout"}
_NAMED = ("NamedValueExpression", "HierarchicalValueExpression")
_PART = ("ElementSelectExpression", "RangeSelectExpression", "MemberAccessExpression")


def definitions(compilation: Any) -> dict[str, Any]:
    """All modules that were defined, by name."""
    found = compilation.getDefinitions()
    return {d.name: d for d in found if "Module" in str(getattr(d, "definitionKind", ""))}


def parameters(top: Any) -> dict[str, str]:
    """Values of the top module's parameters."""
    return {
        p.name: str(p.value)
        for p in top.body.parameters
        if hasattr(p, "value") and not p.isLocalParam
    }


def symbol_of(expression: Any) -> Any:
    """The variable or net that `expression` is as a whole, or None."""
    expression = unwrapped(expression)
    return expression.symbol if kind(expression) in _NAMED else None


def changed(expression: Any) -> list[Any]:
    """All variables that an assignment to `expression` changes; a concatenation has several."""
    expression = unwrapped(expression)
    if kind(expression) == "ConcatenationExpression":
        return [symbol for part in expression.operands for symbol in changed(part)]
    while kind(expression) in _PART:
        expression = unwrapped(expression.value)
    symbol = symbol_of(expression)
    return [symbol] if symbol is not None else []


class Walk:
    """One pass over the instances below the top."""

    def __init__(self, top: Any, places: Any) -> None:
        self.top, self.places = top, places
        self.blocks: list[Any] = []
        self.drivers: dict[str, Any] = {}
        self.clocked: dict[int, Env] = {}
        self.outer: dict[str, tuple[str, bool]] = {}
        self.registers: dict[str, dict[str, Any]] = {}
        self.clocks: dict[str, bool] = {}
        self.resets: dict[str, dict[str, Any]] = {}
        self.clears: dict[str, dict[str, Any]] = {}
        self.instances: set[str] = set()
        ports = [p for p in top.body.portList if kind(p) == "PortSymbol"]
        self.ports = [self._port(p) for p in ports]
        self.inputs = {p["name"] for p in self.ports if p["direction"] != "output"}
        top.visit(self._visit)
        for index, block in enumerate(self.blocks):
            if "Always" in str(block.procedureKind) and kind(block.body) == "TimedStatement":
                self._sequential(index, block)

    def below(self, path: str) -> str:
        """Hierarchical name below the top: ``top.u.q`` -> ``u.q``."""
        return path.removeprefix(f"{self.top.name}.")

    def answer(self) -> dict[str, Any]:
        """Everything found, as plain data."""
        return {
            "ports": self.ports,
            "clocks": list(self.clocks),
            "resets": list((self.resets or self.clears).values()),
            "registers": list(self.registers.values()),
            "properties": properties_of(self.top, self.blocks, self.places),
            "instantiated": sorted(self.instances),
        }

    def input_of(self, path: str) -> tuple[str, bool] | None:
        """The input of the top that drives the signal `path`, and whether it is inverted.

        Followed are ports, and continuous assignments of a signal or its negation.
        """
        inverted, seen = False, set[str]()
        while path in self.outer and path not in seen:
            seen.add(path)
            path, negated = self.outer[path]
            inverted ^= negated
        name = self.below(path)
        return (name, inverted) if name in self.inputs else None

    def _visit(self, node: Any) -> ast.VisitAction:
        if getattr(node, "isUninstantiated", False):  # the branch of a generate not taken
            return ast.VisitAction.Skip
        self._note(node)
        return ast.VisitAction.Advance

    def _note(self, node: Any) -> None:
        name = kind(node)
        if name == "InstanceSymbol":
            self.instances.add(node.definition.name)
            for connection in node.portConnections:
                inner = getattr(connection.port, "internalSymbol", None)
                if inner is not None and connection.expression is not None:
                    self._alias(inner.hierarchicalPath, connection.expression)
        elif name == "ProceduralBlockSymbol":
            self.blocks.append(node)
        elif name == "ContinuousAssignSymbol" and kind(node.assignment) == "AssignmentExpression":
            self._drive(key(node.assignment.left), node.assignment.right)
        elif name == "NetSymbol" and node.initializer is not None:
            self._drive(node.hierarchicalPath, node.initializer)

    def _drive(self, name: str | None, right: Any) -> None:
        if name:
            self._alias(name, right)
            self.drivers[name] = right

    def _alias(self, inner: str, expression: Any) -> None:
        expression, inverted = stripped(expression)
        symbol = symbol_of(expression)
        if symbol is not None and symbol.hierarchicalPath != inner:
            self.outer.setdefault(inner, (symbol.hierarchicalPath, inverted))

    def _port(self, port: Any) -> dict[str, Any]:
        direction = str(port.direction).rsplit(".", 1)[-1]
        return {
            "name": port.name,
            "direction": DIRECTIONS.get(direction, "inout"),
            "width": max(port.type.bitWidth, port.type.bitstreamWidth),
            "one_range": one_range(port.type),
            "signed": bool(port.type.isSigned),
            "location": self.places.of(port.location),
        }

    def _sequential(self, index: int, block: Any) -> None:
        edges = [(e, symbol_of(e.expr)) for e in edges_of(block.body.timing)]
        edges = [(edge, symbol) for edge, symbol in edges if symbol is not None]
        found = written(block.body.stmt)
        if not edges or not found:
            return
        guards = conditions(block.body.stmt)
        clocks: list[Any] = []
        levels: Env = {}
        for edge, symbol in edges:
            if len(edges) > 1 and any(mentions(guard, symbol) for guard in guards):
                low = "Neg" in str(edge.edge)
                levels[symbol.hierarchicalPath] = frozenset([int(not low)])
                self._reset(symbol, low, asynchronous=True, into=self.resets)
            else:
                clocks.append(symbol)
        if len(edges) == 1:
            levels |= self._synchronous(guards)
        for clock in clocks:
            driver = self.input_of(clock.hierarchicalPath)
            if driver:
                self.clocks[driver[0]] = True
        self.clocked[index] = levels
        for symbol in found:
            self._register(symbol)

    def _synchronous(self, guards: list[Any]) -> Env:
        """Resets in the first condition of a block, recognised by their names."""
        levels: Env = {}
        for guard in guards[:1]:
            for part in alternatives(guard):
                low, symbol = asserted(part)
                if symbol is None or symbol.type.bitWidth != 1:
                    continue
                for pattern, into in ((RESET_NAME, self.resets), (CLEAR_NAME, self.clears)):
                    if pattern.search(symbol.name):
                        self._reset(symbol, low, asynchronous=False, into=into)
                        if into is self.resets:
                            levels[symbol.hierarchicalPath] = frozenset([int(not low)])
        return levels

    def _reset(
        self, symbol: Any, low: bool, *, asynchronous: bool, into: dict[str, dict[str, Any]]
    ) -> None:
        driver = self.input_of(symbol.hierarchicalPath)
        if driver is None:
            return
        name, inverted = driver
        row = {"signal": name, "active_low": low ^ inverted, "asynchronous": asynchronous}
        if asynchronous or name not in into:
            into[name] = row

    def _register(self, symbol: Any) -> None:
        if kind(symbol) not in ("VariableSymbol", "NetSymbol"):
            return
        if symbol.parentScope.isProceduralContext:  # a local variable
            return
        name = self.below(symbol.hierarchicalPath)
        self.registers.setdefault(
            name,
            {
                "name": name,
                "width": symbol.type.bitstreamWidth,
                "one_range": one_range(symbol.type),
                "location": self.places.of(symbol.location),
            },
        )


def one_range(type_: Any) -> bool:
    """Whether one index names one bit of it: not so for arrays of anything but bits."""
    type_ = type_.canonicalType
    if not type_.isIntegral:
        return False
    return kind(type_) != "PackedArrayType" or bool(type_.elementType.canonicalType.isScalar)


def edges_of(timing: Any) -> list[Any]:
    """The edge-triggered events of a sensitivity list."""
    if kind(timing) == "SignalEventControl":
        return [timing] if str(timing.edge).endswith(("PosEdge", "NegEdge")) else []
    if kind(timing) == "EventListControl":
        return [edge for event in timing.events for edge in edges_of(event)]
    return []


def written(statement: Any) -> list[Any]:
    """The variables that a clocked block loads; the counters of its loops are left out."""
    found: dict[str, Any] = {}
    counters: set[str] = set()

    def visit(node: Any) -> None:
        if kind(node) == "ForLoopStatement":
            for expression in (*node.initializers, *node.steps):
                inner = getattr(expression, "left", None) or getattr(expression, "operand", None)
                if inner is not None:
                    counters.update(s.hierarchicalPath for s in changed(inner))
        elif kind(node) == "AssignmentExpression":
            for symbol in changed(node.left):
                found.setdefault(symbol.hierarchicalPath, symbol)

    statement.visit(visit)
    return [symbol for path, symbol in found.items() if path not in counters]


def conditions(statement: Any) -> list[Any]:
    """The conditions of the ``if ... else if`` that a block begins with."""
    while kind(statement) in ("BlockStatement", "StatementList"):
        if kind(statement) == "BlockStatement":
            statement = statement.body
        else:
            inner = [
                s
                for s in statement.list
                if kind(s) not in ("VariableDeclStatement", "EmptyStatement")
            ]
            if not inner:
                return []
            statement = next((s for s in inner if kind(s) == "ConditionalStatement"), inner[0])
    found = []
    while kind(statement) == "ConditionalStatement":
        found += [condition.expr for condition in statement.conditions]
        statement = statement.ifFalse
    return found


def alternatives(expression: Any) -> list[Any]:
    """The parts of an ``a || b``."""
    expression = unwrapped(expression)
    if kind(expression) == "BinaryExpression" and operator(expression) in ("LogicalOr", "BinaryOr"):
        return alternatives(expression.left) + alternatives(expression.right)
    return [expression]


def asserted(expression: Any) -> tuple[bool, Any]:
    """Whether ``!rst_n`` or ``rst_n == 0`` is true at the level 0, and its signal or None."""
    inner, low = stripped(expression)
    if kind(inner) == "BinaryExpression" and operator(inner) in ("Equality", "CaseEquality"):
        right = unwrapped(inner.right)
        if "Literal" in kind(right) and str(right.value).endswith(("0", "1")):
            return low ^ str(right.value).endswith("0"), symbol_of(inner.left)
    return low, symbol_of(inner)


def stripped(expression: Any) -> tuple[Any, bool]:
    """`expression` without negations, and whether there was an odd number of them."""
    negated = False
    expression = unwrapped(expression)
    while kind(expression) == "UnaryExpression" and operator(expression) in (
        "LogicalNot",
        "BitwiseNot",
    ):
        negated = not negated
        expression = unwrapped(expression.operand)
    return expression, negated


def mentions(expression: Any, symbol: Any) -> bool:
    """Whether `expression` reads `symbol`."""
    found: list[bool] = []

    def visit(node: Any) -> None:
        if kind(node) in _NAMED:
            found.append(node.symbol.hierarchicalPath == symbol.hierarchicalPath)

    expression.visit(visit)
    return any(found)
