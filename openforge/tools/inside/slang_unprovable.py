"""What a source says that a netlist cannot: Yosys would drop it without an error.

Part of the slang worker: runs inside the sandbox and imports only pyslang.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyslang import SourceLocation, ast
from slang_effects import problems as effects
from slang_races import Races
from slang_reads import NAMED, reads
from slang_values import kind
from slang_walk import edges_of

_DELAYED = ("NetSymbol", "ContinuousAssignSymbol", "PrimitiveInstanceSymbol")
_WAITING = ("WaitStatement", "WaitForkStatement", "WaitOrderStatement")
_OWN_MACRO = "__slang_"
# Yosys gives signals with these attributes a meaning that no simulator knows.
_ATTRIBUTES = {"anyconst", "anyseq", "allconst", "allseq", "gclk", "init"}


def unprovable(compilation: Any, top: Any, instances: set[str], places: Any) -> list[Any]:
    """Places and messages, as plain data; what is in a module used twice is there once."""
    rows: dict[str, dict[str, Any]] = {}
    races = Races()

    def visit(node: Any) -> ast.VisitAction:
        if getattr(node, "isUninstantiated", False):
            return ast.VisitAction.Skip
        races.visit(node)
        for location, message in (*_problems(node, top, compilation), *effects(node)):
            row = {"location": places.of(location), "message": message}
            rows.setdefault(str(row), row)
        return ast.VisitAction.Advance

    top.visit(visit)
    told = (*races.problems(), *_own_macros(compilation), *_idle_binds(compilation, instances))
    for location, message in told:
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
    read, called = reads(body.stmt, set())
    if kind(body.timing) == "ImplicitEventControl":
        return set(called - read)
    return set(read | called) - _listed(body.timing)


def _listed(timing: Any) -> set[str]:
    if kind(timing) == "EventListControl":
        return {path for event in timing.events for path in _listed(event)}
    symbol = timing.expr.symbol if kind(timing.expr) in NAMED else None
    return {symbol.hierarchicalPath} if symbol is not None else set()


def _own_macros(compilation: Any) -> Iterator[tuple[Any, str]]:
    """Files with the macros that slang alone defines: a proof would read another text."""
    manager = compilation.sourceManager
    for buffer in manager.getAllBuffers():
        if _OWN_MACRO in manager.getSourceText(buffer):
            yield (
                SourceLocation(buffer, manager.getSourceText(buffer).index(_OWN_MACRO)),
                f"the macro {_OWN_MACRO}...: only the front end of proofs defines it",
            )


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
