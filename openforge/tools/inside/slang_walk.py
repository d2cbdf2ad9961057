"""What an elaborated design holds: ports, clocks, resets, registers, properties.

Part of the slang worker: runs inside the sandbox and imports only pyslang.
"""

import re

from pyslang import ast

RESET_NAME = re.compile(r"(^|_)(a|s)?n?(rst|reset|clr|clear)(_?n|b|i|_ni|_l)?($|_)", re.IGNORECASE)
DIRECTIONS = {"In": "input", "Out": "output", "InOut": "inout"}
UNSUPPORTED = (
    ("|->", "overlapping implication"), ("|=>", "non-overlapping implication"), ("##", "delay"),
    ("[*", "repetition"), ("[->", "repetition"), ("[=", "repetition"), ("throughout", "sequence"),
    ("s_eventually", "liveness"), ("eventually", "liveness"), ("s_until", "liveness"),
    ("until", "sequence"), ("within", "sequence"), ("intersect", "sequence"),
)


def kind(node):
    """The name of a node's class."""
    return type(node).__name__


def definitions(compilation):
    """Names of all modules that were defined."""
    return {d.name for d in compilation.getDefinitions() if "Module" in str(d.definitionKind)}


def parameters(top):
    """Values of the top module's parameters."""
    return {p.name: str(p.value) for p in top.body.parameters if hasattr(p, "value")}


def unwrapped(expression):
    """`expression` without the conversions that slang inserts."""
    while kind(expression) == "ConversionExpression":
        expression = expression.operand
    return expression


def target(expression):
    """The variable that an assignment to `expression` changes, or None."""
    expression = unwrapped(expression)
    while kind(expression) in (
        "ElementSelectExpression", "RangeSelectExpression", "MemberAccessExpression"
    ):
        expression = unwrapped(expression.value)
    return expression.getSymbolReference()


def targets(expression):
    """All variables that an assignment to `expression` changes (a concatenation changes several)."""
    expression = unwrapped(expression)
    if kind(expression) == "ConcatenationExpression":
        return [symbol for part in expression.operands for symbol in targets(part)]
    symbol = target(expression)
    return [symbol] if symbol is not None else []


def assignments(statement):
    """All assignments below a statement."""
    found = []

    def visit(node):
        if kind(node) == "AssignmentExpression":
            found.append(node)

    statement.visit(visit)
    return found


class Walk:
    """One pass over the instances below the top."""

    def __init__(self, top, places):
        self.top = top
        self.places = places
        self.blocks = []
        self.outer = {}
        self.registers = {}
        self.clocks = {}
        self.resets = {}
        self.properties = []
        self.instances = set()
        top.visit(self._visit)
        for block in self.blocks:
            self._sequential(block)

    def below_top(self, symbol):
        """Hierarchical name below the top: ``top.u.q`` -> ``u.q``."""
        return symbol.hierarchicalPath.removeprefix(f"{self.top.name}.")

    def answer(self):
        """Everything found, as plain data."""
        return {
            "ports": [self._port(p) for p in self.top.body.portList if kind(p) == "PortSymbol"],
            "clocks": list(self.clocks),
            "resets": list(self.resets.values()),
            "registers": list(self.registers.values()),
            "properties": self.properties,
            "instantiated": sorted(self.instances),
        }

    def at_top(self, symbol):
        """The top-level signal that `symbol` is connected to, through ports, or None."""
        seen = set()
        path = symbol.hierarchicalPath
        while path in self.outer and path not in seen:
            seen.add(path)
            path = self.outer[path]
        name = path.removeprefix(f"{self.top.name}.")
        return name if "." not in name else None

    def _visit(self, node):
        name = kind(node)
        if name == "InstanceSymbol":
            self.instances.add(node.definition.name)
            self._connect(node)
        elif name == "ProceduralBlockSymbol":
            self.blocks.append(node)
            self._assertions(node)

    def _connect(self, instance):
        for connection in instance.portConnections:
            inner = getattr(connection.port, "internalSymbol", None)
            outer = connection.expression
            if inner is None or outer is None:
                continue
            symbol = unwrapped(outer).getSymbolReference()
            if symbol is not None:
                self.outer[inner.hierarchicalPath] = symbol.hierarchicalPath

    def _port(self, port):
        direction = str(port.direction).rsplit(".", 1)[-1]
        return {
            "name": port.name, "direction": DIRECTIONS.get(direction, "inout"),
            "width": port.type.bitWidth, "location": self.places.of(port.location),
        }

    def _sequential(self, block):
        timed = block.body
        if "Always" not in str(block.procedureKind) or kind(timed) != "TimedStatement":
            return
        edges = edges_of(timed.timing)
        if not edges:
            return
        guard = first_condition(timed.stmt)
        for edge in edges:
            signal = edge.expr.getSymbolReference()
            if signal is not None:
                self._edge(signal, edge, guard, len(edges))
        self._synchronous_reset(guard, edges)
        for assignment in assignments(timed.stmt):
            if assignment.isNonBlocking:
                for symbol in targets(assignment.left):
                    self._register(symbol)

    def _edge(self, signal, edge, guard, count):
        name = self.at_top(signal)
        if count > 1 and guard is not None and mentions(guard, signal):
            low = "Neg" in str(edge.edge)
            if name:
                self.resets.setdefault(
                    name, {"signal": name, "active_low": low, "asynchronous": True})
        elif name:
            self.clocks[name] = True

    def _synchronous_reset(self, guard, edges):
        if guard is None or len(edges) != 1:
            return
        inner, negated = stripped(guard)
        symbol = inner.getSymbolReference()
        if symbol is None or inner.type.bitWidth != 1 or not RESET_NAME.search(symbol.name):
            return
        name = self.at_top(symbol)
        if name:
            self.resets.setdefault(
                name, {"signal": name, "active_low": negated, "asynchronous": False})

    def _register(self, symbol):
        if kind(symbol) not in ("VariableSymbol", "NetSymbol", "FieldSymbol"):
            return
        name = self.below_top(symbol)
        self.registers.setdefault(name, {
            "name": name, "width": symbol.type.bitstreamWidth,
            "location": self.places.of(symbol.location),
        })

    def _assertions(self, block):
        def visit(node):
            if kind(node) in ("ImmediateAssertionStatement", "ConcurrentAssertionStatement"):
                self.properties.append(self._property(node, block))

        block.visit(visit)

    def _property(self, node, block):
        concurrent = kind(node) == "ConcurrentAssertionStatement"
        word = str(node.assertionKind).rsplit(".", 1)[-1]
        label = getattr(getattr(node.syntax, "label", None), "name", None)
        text = label.valueText if label is not None else ""
        problem = unsupported(node, word) if concurrent else ""
        path = block.hierarchicalPath.removeprefix(self.top.name).strip(".")
        place = self.places.of(node.sourceRange.start)
        name = text or f"{word.lower()}_{place['line']}"
        return {
            "name": f"{path}.{name}" if path else name,
            "kind": {"CoverProperty": "cover", "CoverSequence": "cover"}.get(word, word.lower()),
            "location": place, "concurrent": concurrent,
            "supported": not problem, "problem": problem,
        }


def unsupported(node, word):
    """Why a concurrent assertion cannot be used for a proof yet, or an empty text."""
    if word in ("Restrict", "Expect"):
        return f"'{word.lower()}' is not supported yet"
    text = re.sub(r'//[^\n]*|/\*.*?\*/|"[^"]*"', " ", str(node.syntax), flags=re.DOTALL)
    for operator, name in UNSUPPORTED:
        found = operator in text if not operator[0].isalpha() else re.search(rf"\b{operator}\b", text)
        if found:
            return f"the {name} '{operator}' is not supported yet; use a clocked Boolean expression"
    if not clocked_boolean(node.propertySpec):
        return "only a clocked Boolean expression is supported yet, with 'disable iff' if needed"
    return ""


def clocked_boolean(spec):
    """Whether a property is ``@(edge) [disable iff (r)] expression``."""
    if kind(spec) != "ClockingAssertionExpr":
        return False
    inner = spec.expr
    if kind(inner) == "DisableIffAssertionExpr":
        inner = inner.expr
    return kind(inner) == "SimpleAssertionExpr"


def edges_of(timing):
    """The edge-triggered events of a sensitivity list."""
    if kind(timing) == "SignalEventControl":
        return [timing] if str(timing.edge).endswith(("PosEdge", "NegEdge")) else []
    if kind(timing) == "EventListControl":
        return [edge for event in timing.events for edge in edges_of(event)]
    return []


def first_condition(statement):
    """The condition of the ``if`` that a block begins with, or None."""
    while kind(statement) in ("BlockStatement", "StatementList"):
        inner = statement.body if kind(statement) == "BlockStatement" else statement.list
        statement = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(statement, list):
            return None
    if kind(statement) == "ConditionalStatement" and len(statement.conditions) == 1:
        return statement.conditions[0].expr
    return None


def stripped(expression):
    """`expression` without negations, and whether there was an odd number of them."""
    negated = False
    expression = unwrapped(expression)
    while kind(expression) == "UnaryExpression" and str(expression.op).endswith(("Not",)):
        negated = not negated
        expression = unwrapped(expression.operand)
    return expression, negated


def mentions(expression, symbol):
    """Whether `expression` reads `symbol`."""
    found = []

    def visit(node):
        if kind(node) in ("NamedValueExpression", "HierarchicalValueExpression"):
            found.append(node.getSymbolReference().hierarchicalPath == symbol.hierarchicalPath)

    expression.visit(visit)
    return any(found)
