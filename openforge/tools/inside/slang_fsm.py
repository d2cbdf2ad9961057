"""State machines of an elaborated design: states, arcs, reset state.

A register is a state machine's when it is compared with named constants (an enum or localparams)
and the register, or the variable it is loaded from, is assigned such constants. Understood are
``case`` and ``if`` chains, ``?:``, one process and two. Part of the slang worker.
"""

from slang_walk import assignments, edges_of, first_condition, kind, target, unwrapped


def find(walk, places):
    """The state machines below the top of `walk`, as plain data."""
    machines = []
    nexts = next_variables(walk.blocks)
    for path, register in sorted(state_registers(walk, nexts).items()):
        machine = Machine(register, nexts.get(path, register))
        for block in walk.blocks:
            machine.read(block)
        arcs = sorted((s, t) for s, t in machine.arcs if s != t)
        states = machine.states()
        if len(states) < 2 or not arcs:
            continue
        machines.append({
            "signal": walk.below_top(register),
            "states": [{"name": name, "value": value} for name, value in states.items()],
            "arcs": arcs, "reset_state": machine.reset_state,
            "location": places.of(register.location),
        })
    return machines


def constant(expression):
    """Name and value of a named constant (enum value or parameter), or None."""
    expression = unwrapped(expression)
    symbol = expression.getSymbolReference()
    if symbol is None or kind(symbol) not in ("EnumValueSymbol", "ParameterSymbol"):
        return None
    try:
        return symbol.name, int(symbol.value.value)
    except (TypeError, ValueError, AttributeError):
        return None


def constants(expression):
    """All named constants that `expression` can be, through ``?:``."""
    expression = unwrapped(expression)
    if kind(expression) == "ConditionalExpression":
        return {**constants(expression.left), **constants(expression.right)}
    found = constant(expression)
    return dict([found]) if found else {}


def next_variables(blocks):
    """Register -> the variable it is loaded from (``state_q <= state_d``), by path."""
    pairs = {}
    for block in blocks:
        for assignment in assignments(block.body):
            source = unwrapped(assignment.right).getSymbolReference()
            destination = target(assignment.left)
            if assignment.isNonBlocking and destination is not None and source is not None and (
                kind(source) == "VariableSymbol"
            ):
                pairs[destination.hierarchicalPath] = source
    return pairs


def state_registers(walk, nexts):
    """Registers that are compared with named constants and follow from such, by path."""
    compared, assigned, symbols = set(), {}, {}
    for block in walk.blocks:
        for assignment in assignments(block.body):
            symbol = target(assignment.left)
            if symbol is None or kind(unwrapped(assignment.left)) != "NamedValueExpression":
                continue
            if assignment.isNonBlocking:
                symbols[symbol.hierarchicalPath] = symbol
            found = constants(assignment.right)
            assigned.setdefault(symbol.hierarchicalPath, set()).update(found.values())
        block.visit(lambda node: compared.update(comparisons(node)))

    def follows(path):
        return assigned.get(path, set()) | assigned.get(
            nexts[path].hierarchicalPath if path in nexts else path, set())

    return {p: s for p, s in symbols.items() if p in compared and len(follows(p)) >= 2}


def comparisons(node):
    """Paths of what `node` compares with a named constant."""
    if kind(node) == "CaseStatement":
        symbol = unwrapped(node.expr).getSymbolReference()
        named = any(constant(e) for item in node.items for e in item.expressions)
        return {symbol.hierarchicalPath} if symbol is not None and named else set()
    found = equality(node)
    return {found[0].hierarchicalPath} if found else set()


def equality(node):
    """Symbol, constant's name and value of ``symbol == CONSTANT``, or None."""
    if kind(node) != "BinaryExpression" or not str(node.op).endswith(("Equality", "CaseEquality")):
        return None
    if "Ine" in str(node.op):
        return None
    for one, other in ((node.left, node.right), (node.right, node.left)):
        symbol, found = unwrapped(one).getSymbolReference(), constant(other)
        if symbol is not None and found and kind(symbol) in ("VariableSymbol", "NetSymbol"):
            return symbol, *found
    return None


class Machine:
    """Collects the arcs of one state register."""

    def __init__(self, register, following):
        self._paths = {register.hierarchicalPath, following.hierarchicalPath}
        self._register = register.hierarchicalPath
        self._named = {}
        self._enum = None
        if register.type.isEnum:
            values = register.type.canonicalType
            self._enum = {value.name: int(value.value.value) for value in values}
        self._open = set()
        self.arcs = set()
        self.reset_state = None

    def states(self):
        """Name -> value: of the enum, or of all constants met."""
        return dict(sorted((self._enum or self._named).items(), key=lambda item: item[1]))

    def read(self, block):
        """Take the arcs of a procedural block."""
        body = block.body
        if kind(body) == "TimedStatement":
            edges = edges_of(body.timing)
            guard = first_condition(body.stmt)
            self._reset(body.stmt, guard, edges)
            self._statement(body.stmt, None, skip=self._reset_branch)
        else:
            self._reset_branch = None
            self._statement(body, None, skip=None)

    def _reset(self, statement, guard, edges):
        self._reset_branch = None
        conditional = first_conditional(statement)
        if guard is None or conditional is None or not edges:
            return
        found = {}
        for assignment in assignments(conditional.ifTrue):
            symbol = target(assignment.left)
            if symbol is not None and symbol.hierarchicalPath == self._register:
                found.update(constants(assignment.right))
        reads_state = []
        guard.visit(lambda node: reads_state.append(bool(comparisons(node))))
        if len(found) == 1 and not any(reads_state):
            self.reset_state = next(iter(found))
            self._named.update(found)
            self._reset_branch = conditional.ifTrue

    def _statement(self, node, sources, skip):
        """Walk a statement; `sources` are the states it can be in, None for any."""
        if node is None or node is skip:
            return
        name = kind(node)
        if name == "BlockStatement":
            self._statement(node.body, sources, skip)
        elif name == "StatementList":
            for inner in node.list:
                self._statement(inner, sources, skip)
        elif name == "CaseStatement":
            self._case(node, sources, skip)
        elif name == "ConditionalStatement":
            self._conditional(node, sources, skip)
        elif name == "ExpressionStatement":
            for assignment in assignments(node):
                self._assign(assignment, sources)
        elif name in ("TimedStatement", "ForLoopStatement"):
            self._statement(getattr(node, "stmt", None) or node.body, sources, skip)

    def _case(self, node, sources, skip):
        symbol = unwrapped(node.expr).getSymbolReference()
        mine = symbol is not None and symbol.hierarchicalPath == self._register
        seen = set()
        for item in node.items:
            named = dict(c for c in map(constant, item.expressions) if c) if mine else {}
            self._named.update(named)
            seen |= set(named)
            self._statement(item.stmt, narrowed(sources, set(named)) if named else sources, skip)
        if node.defaultCase is not None:
            rest = set(self._enum or ()) - seen
            inside = narrowed(sources, rest) if mine and self._enum else sources
            self._statement(node.defaultCase, set() if mine and not self._enum else inside, skip)

    def _conditional(self, node, sources, skip):
        named = set()
        whole = False
        if len(node.conditions) == 1:
            named, whole = self._tested(node.conditions[0].expr)
        inside = narrowed(sources, named) if named else sources
        self._statement(node.ifTrue, inside, skip)
        every = set(self.states())
        outside = narrowed(sources, every - named) if named and whole else sources
        self._statement(node.ifFalse, outside, skip)

    def _tested(self, expression):
        """States that `expression` says it is in, and whether it says nothing else."""
        expression = unwrapped(expression)
        found = equality(expression)
        if found and found[0].hierarchicalPath == self._register:
            self._named[found[1]] = found[2]
            return {found[1]}, True
        if kind(expression) == "BinaryExpression" and str(expression.op).endswith("LogicalAnd"):
            for part in (expression.left, expression.right):
                named, _ = self._tested(part)
                if named:
                    return named, False
        if kind(expression) == "BinaryExpression" and str(expression.op).endswith("LogicalOr"):
            left, right = self._tested(expression.left), self._tested(expression.right)
            if left[0] and right[0]:
                return left[0] | right[0], left[1] and right[1]
        return set(), False

    def _assign(self, assignment, sources):
        symbol = target(assignment.left)
        if symbol is None or symbol.hierarchicalPath not in self._paths:
            return
        found = constants(assignment.right)
        self._named.update(found)
        for source in self.states() if sources is None else sources:
            self.arcs.update((source, name) for name in found)


def narrowed(sources, states):
    """`sources` (None: any) and `states` both hold."""
    return set(states) if sources is None else sources & states


def first_conditional(statement):
    """The ``if`` statement that a block begins with, or None."""
    while kind(statement) in ("BlockStatement", "StatementList"):
        inner = statement.body if kind(statement) == "BlockStatement" else statement.list
        statement = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(statement, list):
            return None
    return statement if kind(statement) == "ConditionalStatement" else None
