"""What a source says that a netlist cannot: Yosys would drop it without an error.

Part of the slang worker: runs inside the sandbox and imports only pyslang.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyslang import ast
from slang_values import kind
from slang_walk import changed, edges_of

_DELAYED = ("NetSymbol", "ContinuousAssignSymbol", "PrimitiveInstanceSymbol")
_WAITING = ("WaitStatement", "WaitForkStatement", "WaitOrderStatement")
_NAMED = ("NamedValueExpression", "HierarchicalValueExpression")
_SIGNALS = ("VariableSymbol", "NetSymbol", "ModportPortSymbol")
# Yosys gives signals with these attributes a meaning that no simulator knows.
_ATTRIBUTES = {"anyconst", "anyseq", "allconst", "allseq", "gclk", "init"}


def unprovable(compilation: Any, top: Any, instances: set[str], places: Any) -> list[Any]:
    """Places and messages, as plain data; what is in a module used twice is there once."""
    rows: dict[str, dict[str, Any]] = {}

    def visit(node: Any) -> ast.VisitAction:
        if getattr(node, "isUninstantiated", False):
            return ast.VisitAction.Skip
        for location, message in _problems(node, top, compilation):
            row = {"location": places.of(location), "message": message}
            rows.setdefault(str(row), row)
        return ast.VisitAction.Advance

    top.visit(visit)
    for location, message in _idle_binds(compilation, instances):
        row = {"location": places.of(location), "message": message}
        rows.setdefault(str(row), row)
    return list(rows.values())


def _problems(node: Any, top: Any, compilation: Any) -> Iterator[tuple[Any, str]]:
    name = kind(node)
    if name in _DELAYED and node.delay is not None:
        yield node.location, "a delay: a proof knows of no time but clock cycles"
    elif name in _WAITING:
        yield node.sourceRange.start, "a 'wait': a proof knows of no time but clock cycles"
    elif name == "ProceduralBlockSymbol":
        missing = sorted(path.removeprefix(f"{top.name}.") for path in _missing(node))
        if missing:
            yield (
                node.location,
                f"the sensitivity list lacks {', '.join(missing)}: a simulator keeps old values "
                "where a netlist has none; write always_comb",
            )
    if name in ("VariableSymbol", "NetSymbol"):
        for attribute in compilation.getAttributes(node):
            if attribute.name in _ATTRIBUTES:
                yield (
                    node.location,
                    f"the attribute (* {attribute.name} *) is not supported: simulators ignore it; "
                    "use an input of a bound module and 'assume'",
                )


def _missing(block: Any) -> set[str]:
    """The signals that a block without clock reads but does not wait for.

    Functions count only for ``@*``, which does not look into them (IEEE 1800-2017, 9.4.2.2), and
    for lists. What the block itself assigns changes only when it runs.
    """
    body = block.body
    if not str(block.procedureKind).endswith(".Always") or kind(body) != "TimedStatement":
        return set()
    if edges_of(body.timing):
        return set()
    read, called = _reads(body.stmt, set())
    if kind(body.timing) == "ImplicitEventControl":
        return called - read
    return (read | called) - _listed(body.timing)


def _listed(timing: Any) -> set[str]:
    if kind(timing) == "EventListControl":
        return {path for event in timing.events for path in _listed(event)}
    symbol = timing.expr.symbol if kind(timing.expr) in _NAMED else None
    return {symbol.hierarchicalPath} if symbol is not None else set()


def _reads(statement: Any, entered: set[str]) -> tuple[set[str], set[str]]:
    """The signals that `statement` reads by itself, and those that it reads in functions.

    The functions in `entered` were looked into before.
    """
    read: set[str] = set()
    written: set[str] = set()
    called: set[str] = set()

    def visit(node: Any) -> None:
        if kind(node) in _NAMED and _is_signal(node.symbol):
            read.add(node.symbol.hierarchicalPath)
        elif kind(node) == "AssignmentExpression":
            written.update(symbol.hierarchicalPath for symbol in changed(node.left))
        elif kind(node) == "CallExpression" and not node.isSystemCall:
            path = node.subroutine.hierarchicalPath
            if path not in entered:
                entered.add(path)
                called.update(*_reads(node.subroutine.body, entered))

    statement.visit(visit)
    return read - written, called - written


def _is_signal(symbol: Any) -> bool:
    if kind(symbol) not in _SIGNALS:
        return False
    return not getattr(symbol.parentScope, "isProceduralContext", False)


def _idle_binds(compilation: Any, instances: set[str]) -> Iterator[tuple[Any, str]]:
    """The ``bind``s to a module that is not in the design: what they bind checks nothing."""
    known = {definition.name for definition in compilation.getDefinitions()}
    found: list[Any] = []

    def visit(node: Any) -> None:
        if kind(node) == "BindDirectiveSyntax":
            found.append(node)

    for tree in compilation.getSyntaxTrees():
        tree.root.visit(visit)
    for bind in found:
        name = str(bind.target).strip()
        if name in known - instances:
            yield (
                bind.target.sourceRange.start,
                f"'bind {name}': there is no instance of '{name}' in the design, so what is bound "
                "to it checks nothing",
            )
