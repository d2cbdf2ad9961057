"""What a state register can be loaded with: the logic, run on sets of values.

A value is a frozenset of integers, or ANY. The register is known, a reset is known, all inputs are
ANY, so a branch is left out only when the state rules it out. Part of the slang worker.
"""

from __future__ import annotations

from typing import Any

ANY = None
Value = frozenset[int] | None
Env = dict[str, Value]
NEXT = "'"  # key of what a register gets: the key of the register and this
_DEEPEST = 24
_NAMED = ("NamedValueExpression", "HierarchicalValueExpression")
_EQUAL = ("Equality", "CaseEquality", "WildcardEquality")
_UNEQUAL = ("Inequality", "CaseInequality", "WildcardInequality")


def kind(node: Any) -> str:
    """The name of a node's class."""
    return type(node).__name__


def unwrapped(expression: Any) -> Any:
    """`expression` without the conversions that slang inserts."""
    while kind(expression) == "ConversionExpression":
        expression = expression.operand
    return expression


def operator(node: Any) -> str:
    """The name of a node's operator."""
    return str(node.op).rsplit(".", 1)[-1]


def constant(expression: Any) -> tuple[str, int] | None:
    """Name and value of a named constant (enum value or parameter), or None."""
    expression = unwrapped(expression)
    symbol = expression.getSymbolReference() if kind(expression) in _NAMED else None
    if symbol is None or kind(symbol) not in ("EnumValueSymbol", "ParameterSymbol"):
        return None
    try:
        return symbol.name, int(symbol.value.value)
    except (TypeError, ValueError, AttributeError, RuntimeError):
        return None


def literal(expression: Any) -> int | None:
    """The value of an integer literal without x and z, or None."""
    try:
        return int(expression.value)
    except (TypeError, ValueError, AttributeError, RuntimeError):
        return None


def key(expression: Any) -> str | None:
    """A name for the variable, member or element that `expression` is, or None."""
    expression = unwrapped(expression)
    name = kind(expression)
    if name in _NAMED:
        return str(expression.symbol.hierarchicalPath)
    if name == "MemberAccessExpression":
        outer = key(expression.value)
        return f"{outer}.{expression.member.name}" if outer else None
    if name == "ElementSelectExpression":
        outer, index = key(expression.value), _fixed(expression.selector)
        return f"{outer}[{index}]" if outer and index is not None else None
    return None


def base(expression: Any) -> str | None:
    """The variable that an assignment to `expression` changes as a whole or in part, or None."""
    expression = unwrapped(expression)
    while kind(expression) in (
        "ElementSelectExpression",
        "RangeSelectExpression",
        "MemberAccessExpression",
    ):
        expression = unwrapped(expression.value)
    return str(expression.symbol.hierarchicalPath) if kind(expression) in _NAMED else None


def _fixed(expression: Any) -> int | None:
    expression = unwrapped(expression)
    named = constant(expression)
    return named[1] if named else literal(expression) if "Literal" in kind(expression) else None


class Logic:
    """Runs statements and expressions on sets of values."""

    def __init__(self, drivers: dict[str, Any]) -> None:
        self._drivers = drivers
        self._depth = 0

    def value(self, expression: Any, env: Env) -> Value:
        """The values that `expression` can have."""
        if self._depth >= _DEEPEST:
            return ANY
        self._depth += 1
        try:
            return self._value(expression, env)
        finally:
            self._depth -= 1

    def _value(self, node: Any, env: Env) -> Value:  # noqa: PLR0911  (one return a kind of node)
        name = kind(node)
        named = constant(node) if name in _NAMED else None
        if named:
            return frozenset([named[1]])
        if "Literal" in name:
            found = literal(node)
            return ANY if found is None else frozenset([found])
        if name == "ConversionExpression":
            return _cut(self.value(node.operand, env), node.type.bitWidth)
        if name == "UnaryExpression":
            return self._unary(node, env)
        if name == "BinaryExpression":
            return self._binary(node, env)
        if name == "ConditionalExpression":
            return self._choice(node, env)
        if name == "InsideExpression":
            left = self.value(node.left, env)
            return truth(any_of(equal(left, self.value(e, env)) for e in node.rangeList))
        if name == "CallExpression":
            return self._step(node, env)
        return self._read(node, env)

    def _read(self, node: Any, env: Env) -> Value:
        name = key(node)
        if name is None:
            return ANY
        if name in env:
            return env[name]
        if name in self._drivers:
            return self.value(self._drivers[name], env)
        inner = unwrapped(node)
        if kind(inner) == "ElementSelectExpression" and inner.type.bitWidth == 1:
            whole, index = self.value(inner.value, env), _fixed(inner.selector)
            span = inner.value.type.fixedRange
            if whole and index is not None and span.right == 0:
                return frozenset(v >> index & 1 for v in whole)
        return ANY

    def _unary(self, node: Any, env: Env) -> Value:
        inner = self.value(node.operand, env)
        if operator(node) == "LogicalNot":
            said = holds(inner)
            return truth(None if said is None else not said)
        if operator(node) == "BitwiseNot" and inner is not ANY:
            mask = (1 << node.type.bitWidth) - 1
            return frozenset(~v & mask for v in inner)
        return ANY

    def _binary(self, node: Any, env: Env) -> Value:
        sign = operator(node)
        left, right = self.value(node.left, env), self.value(node.right, env)
        if sign in _EQUAL:
            return truth(equal(left, right))
        if sign in _UNEQUAL:
            same = equal(left, right)
            return truth(None if same is None else not same)
        one_bit = node.type.bitWidth == 1
        if sign == "LogicalAnd" or (sign == "BinaryAnd" and one_bit):
            return truth(_not(any_of([_not(holds(left)), _not(holds(right))])))
        if sign == "LogicalOr" or (sign == "BinaryOr" and one_bit):
            return truth(any_of([holds(left), holds(right)]))
        if sign in ("Add", "Subtract") and left and right and len(left) == len(right) == 1:
            (a,), (b,) = left, right
            return _cut(frozenset([a + b if sign == "Add" else a - b]), node.type.bitWidth)
        return ANY

    def _choice(self, node: Any, env: Env) -> Value:
        said = self._conditions(node.conditions, env)
        if said is not None:
            return self.value(node.left if said else node.right, env)
        left, right = self.value(node.left, env), self.value(node.right, env)
        return ANY if left is ANY or right is ANY else left | right

    def _conditions(self, conditions: Any, env: Env) -> bool | None:
        said = [holds(self.value(c.expr, env)) for c in conditions]
        return False if False in said else None if None in said else True

    def _step(self, node: Any, env: Env) -> Value:
        """``state.next()`` and its like, for an enum."""
        arguments = list(node.arguments)
        if not node.isSystemCall or len(arguments) != 1 or not arguments[0].type.isEnum:
            return ANY
        values = [int(v.value.value) for v in arguments[0].type.canonicalType]
        ends = {"first": values[0], "last": values[-1]}
        if node.subroutineName in ends:
            return frozenset([ends[node.subroutineName]])
        now = self.value(arguments[0], env)
        move = {"next": 1, "prev": -1}.get(node.subroutineName)
        if move is None or now is ANY or not set(values) >= now:
            return ANY
        return frozenset(values[(values.index(v) + move) % len(values)] for v in now)

    def run(self, node: Any, env: Env) -> Env:
        """What the variables are after the statement `node`."""
        name = kind(node)
        if name == "StatementList":
            for inner in node.list:
                env = self.run(inner, env)
        elif name == "BlockStatement":
            env = self.run(node.body, env)
        elif name == "TimedStatement":
            env = self.run(node.stmt, env)
        elif name == "ConditionalStatement":
            env = self._if(node, env)
        elif name == "CaseStatement":
            env = self._case(node, env)
        elif name == "ExpressionStatement":
            if kind(node.expr) == "AssignmentExpression":
                env = self._assign(node.expr, env)
        elif name == "VariableDeclStatement" and node.symbol.initializer is not None:
            env = {**env, node.symbol.hierarchicalPath: self.value(node.symbol.initializer, env)}
        elif name.endswith("LoopStatement"):
            env = joined([env, self.run(node.body, env)])
        return env

    def _if(self, node: Any, env: Env) -> Env:
        said = self._conditions(node.conditions, env)
        ways = []
        if said is not False:
            ways.append(self.run(node.ifTrue, env))
        if said is not True:
            ways.append(self.run(node.ifFalse, env) if node.ifFalse is not None else env)
        return joined(ways)

    def _case(self, node: Any, env: Env) -> Env:
        subject = self.value(node.expr, env)
        ways = []
        for item in node.items:
            said = any_of(equal(subject, self.value(e, env)) for e in item.expressions)
            if said is not False:
                ways.append(self.run(item.stmt, env))
            if said:
                return joined(ways)
        rest = node.defaultCase
        return joined([*ways, env if rest is None else self.run(rest, env)])

    def _assign(self, node: Any, env: Env) -> Env:
        suffix = NEXT if node.isNonBlocking else ""
        left = unwrapped(node.left)
        parts = left.operands if kind(left) == "ConcatenationExpression" else [left]
        name = key(left)
        if name is None or node.isCompound:
            for part in parts:  # a part is written: the whole of it is not known any more
                env = _written(env, base(part), suffix, ANY)
            return env
        source = key(node.right)
        members = {
            name + old.removeprefix(source): value
            for old, value in env.items()
            if source and old.startswith((f"{source}.", f"{source}[")) and not old.endswith(NEXT)
        }
        value = ANY if members else self.value(node.right, env)
        env = _written(env, name, suffix, value)
        return {**env, **{member + suffix: v for member, v in members.items()}}


def _written(env: Env, name: str | None, suffix: str, value: Value) -> Env:
    if name is None:
        return env
    parts = (f"{name}.", f"{name}[")
    kept = {
        old: v
        for old, v in env.items()
        if not (old.startswith(parts) and old.endswith(NEXT) == bool(suffix))
    }
    whole = name
    while "." in whole or "[" in whole:  # what it is a part of is not known as a whole
        whole = whole[: max(whole.rfind("."), whole.rfind("["))]
        if whole + suffix in kept:
            kept[whole + suffix] = ANY
    return {**kept, name + suffix: value}


def joined(ways: list[Env]) -> Env:
    """What is known after one of several branches."""
    if len(ways) == 1:
        return ways[0]
    result: Env = {}
    for name in set[str]().union(*ways):
        values = [way.get(name, ANY) for way in ways]
        known = [v for v in values if v is not ANY]
        result[name] = frozenset[int]().union(*known) if len(known) == len(values) else ANY
    return result


def holds(value: Value) -> bool | None:
    """Whether a condition with these values is true, None when it can be both."""
    if value is ANY or not value:
        return None
    return None if 0 in value and len(value) > 1 else 0 not in value


def truth(said: bool | None) -> Value:
    """The values of a condition."""
    return ANY if said is None else frozenset([int(said)])


def equal(left: Value, right: Value) -> bool | None:
    """Whether two values are equal, None when that is open."""
    if left is ANY or right is ANY:
        return None
    if not left & right:
        return False
    return True if len(left) == len(right) == 1 else None


def any_of(said: Any) -> bool | None:
    """Whether one of several conditions is true, None when that is open."""
    said = list(said)
    return True if True in said else None if None in said else False


def _not(said: bool | None) -> bool | None:
    return None if said is None else not said


def _cut(value: Value, width: int) -> Value:
    return ANY if value is ANY else frozenset(v & ((1 << width) - 1) for v in value)
