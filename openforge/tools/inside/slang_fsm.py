"""State machines of an elaborated design: states, arcs, reset state.

A register is a state machine's when it has an enum type, or is compared with and loaded from named
constants only. Its arcs are found by running the logic once for each state (see `slang_values`), so
it does not matter how it is written: ``case``, ``if``, ``?:``, one process or two, a member of a
struct, a continuous assignment. What a reset does is no arc. Part of the slang worker.
"""

from __future__ import annotations

from typing import Any

from slang_values import (
    ANY,
    NEXT,
    Env,
    Logic,
    Value,
    base,
    constant,
    key,
    kind,
    operator,
    unwrapped,
)

_MAX_STATES = 256
_DEEPEST = 4  # next-state variables that are copied from each other


def find(walk: Any, places: Any) -> list[dict[str, Any]]:
    """The state machines below the top of `walk`, as plain data."""
    facts = _Facts(walk)
    found = [_Machine(facts, *candidate).answer(walk, places) for candidate in facts.candidates()]
    return sorted((m for m in found if m), key=lambda machine: str(machine["signal"]))


class _Facts:
    """Who writes what, and what is compared with which constants."""

    def __init__(self, walk: Any) -> None:
        self.blocks = walk.blocks
        self.clocked: dict[int, Env] = walk.clocked
        self.writers: dict[str, list[int]] = {}
        self.assigned: dict[str, list[Any]] = {}
        self.compared: dict[str, dict[int, str]] = {}
        self.symbols: dict[str, Any] = {}
        self.drivers = walk.drivers
        for index, block in enumerate(self.blocks):
            if "Always" in str(block.procedureKind):
                block.visit(lambda node, index=index: self._visit(node, index))
        for right in self.drivers.values():
            right.visit(lambda node: self._visit(node, -1))

    def _visit(self, node: Any, block: int) -> None:
        name = kind(node)
        if name == "AssignmentExpression":
            left = unwrapped(node.left)
            parts = left.operands if kind(left) == "ConcatenationExpression" else [left]
            for part in parts:
                self._write(part, node, block)
        elif name == "CaseStatement":
            for item in node.items:
                for choice in item.expressions:
                    self._compare(node.expr, choice)
                    self._compare(choice, node.expr)
        elif name == "BinaryExpression" and operator(node).endswith("quality"):
            self._compare(node.left, node.right)
            self._compare(node.right, node.left)
        elif name == "InsideExpression":
            for choice in node.rangeList:
                self._compare(node.left, choice)

    def _write(self, left: Any, node: Any, block: int) -> None:
        whole = base(left)
        if whole is None:
            return
        known = self.writers.setdefault(whole, [])
        if block not in known:
            known.append(block)
        self.assigned.setdefault(key(left) or whole, []).append(node)
        if block in self.clocked:
            inner = unwrapped(left)
            while kind(inner) not in ("NamedValueExpression", "HierarchicalValueExpression"):
                inner = unwrapped(inner.value)
            self.symbols[whole] = inner.symbol

    def _compare(self, left: Any, right: Any) -> None:
        name, found = key(left), constant(right)
        if name and found:
            self.compared.setdefault(name, {}).setdefault(found[1], found[0])

    def sources(self, whole: str) -> list[Any]:
        """All that the variable `whole`, or a part of it, is assigned."""
        parts = (f"{whole}.", f"{whole}[")
        found = [
            node.right
            for name, nodes in self.assigned.items()
            if name == whole or name.startswith(parts)
            for node in nodes
        ]
        return [*found, *([self.drivers[whole]] if whole in self.drivers else [])]

    def candidates(self) -> list[tuple[str, str, Any, dict[int, str]]]:
        """Key, variable, symbol and named values of what may be a state register."""
        found = []
        for whole, symbol in self.symbols.items():
            for name, kind_of in _members(whole, symbol.type):
                if kind_of.isEnum:
                    found.append((name, whole, symbol, _values(kind_of)))
                elif name in self.compared and kind_of.isIntegral:
                    found.append((name, whole, symbol, {}))
        return found


def _members(name: str, of: Any) -> list[tuple[str, Any]]:
    """The type and, for a struct, its members; each with its key."""
    found = [(name, of)]
    if of.isStruct:
        for field in of.canonicalType:
            if kind(field) == "FieldSymbol":
                found += _members(f"{name}.{field.name}", field.type)
    return found


def _values(enum: Any) -> dict[int, str]:
    found: dict[int, str] = {}
    for value in enum.canonicalType:
        try:
            found.setdefault(int(value.value.value), value.name)
        except (TypeError, ValueError, RuntimeError):  # an encoding with x or z
            return {}
    return found


class _Machine:
    """One candidate: its values, and the logic run for each of them."""

    def __init__(
        self, facts: _Facts, name: str, whole: str, symbol: Any, names: dict[int, str]
    ) -> None:
        self._facts, self._key, self._whole, self._symbol = facts, name, whole, symbol
        self._is_enum = bool(names)
        self._logic = Logic(facts.drivers)
        self._registers = [b for b in facts.writers[whole] if b in facts.clocked]
        self._comb, related = self._related()
        self._names = names or self._constants(related)
        self._resets: Env = {}
        for block in self._registers:
            self._resets |= facts.clocked[block]

    def _related(self) -> tuple[list[int], set[str]]:
        """Blocks that compute what the register gets, first computed first, and their variables."""
        comb: list[int] = []
        related, new = {self._whole}, {self._whole}
        for _ in range(_DEEPEST):
            sources = {
                source
                for whole in new
                for expression in self._facts.sources(whole)
                for source in _leaves(expression)
            }
            new = {s for s in sources if s in self._facts.writers or s in self._facts.drivers}
            new -= related
            related |= new
            for whole in new:
                blocks = self._facts.writers.get(whole, ())
                comb += [b for b in blocks if b not in self._facts.clocked and b not in comb]
        return comb[::-1], related

    def _constants(self, related: set[str]) -> dict[int, str]:
        """Value -> name of the constants that the register is compared with or loaded from."""
        found = dict(self._facts.compared.get(self._key, {}))
        for name in (self._key, *sorted(related)):
            for expression in self._facts.sources(name):
                for label, value in _named(expression):
                    found.setdefault(value, label)
        return found

    def answer(self, walk: Any, places: Any) -> dict[str, Any] | None:
        """The machine as plain data; None when the register is not a state machine's."""
        if not 2 <= len(self._names) <= _MAX_STATES:
            return None
        gets = {value: self._next(value) for value in self._names}
        if not self._is_enum and not all(
            v is not ANY and v <= set(self._names) for v in gets.values()
        ):
            return None  # a counter that is compared with parameters, say
        arcs = [
            (self._names[source], self._names[value])
            for source, values in gets.items()
            for value in sorted(values or ())
            if value in self._names and value != source
        ]
        if not arcs:
            return None
        return {
            "signal": walk.below(self._key),
            "states": [{"name": n, "value": v} for v, n in sorted(self._names.items())],
            "arcs": arcs,
            "reset_state": self._reset_state(),
            "location": places.of(self._symbol.location),
        }

    def _next(self, value: int) -> Value:
        now: Value = frozenset([value])
        idle = {name: truthless(level) for name, level in self._resets.items()}
        return self._run({**idle, self._key: now, self._key + NEXT: now})

    def _run(self, env: Env) -> Value:
        """What the register gets, from what is known before the clock edge."""
        start = env
        for block in self._comb:
            env = self._logic.run(self._facts.blocks[block].body, env)
            env = {**env, **{name: v for name, v in start.items() if name == self._key}}
        for block in self._registers:
            env = self._logic.run(self._facts.blocks[block].body, env)
        if env.get(self._key, ANY) != start.get(self._key, ANY):  # loaded with "="
            return env.get(self._key, ANY)
        return env.get(self._key + NEXT, ANY)

    def _reset_state(self) -> str | None:
        if self._resets:
            value = self._run(dict(self._resets))
        else:
            first = self._symbol.initializer
            value = self._logic.value(first, {}) if first is not None else ANY
        if value is ANY or len(value) != 1:
            return None
        return self._names.get(next(iter(value)))


def truthless(level: Value) -> Value:
    """The other value of a bit."""
    return ANY if level is ANY else frozenset(1 - bit for bit in level)


def _leaves(expression: Any) -> set[str]:
    """The variables that `expression` can be, through ``?:``."""
    expression = unwrapped(expression)
    if kind(expression) == "ConditionalExpression":
        return _leaves(expression.left) | _leaves(expression.right)
    whole = base(expression) if not constant(expression) else None
    return {whole} if whole else set()


def _named(expression: Any) -> list[tuple[str, int]]:
    """The named constants that `expression` can be, through ``?:``."""
    expression = unwrapped(expression)
    if kind(expression) == "ConditionalExpression":
        return _named(expression.left) + _named(expression.right)
    found = constant(expression)
    return [found] if found else []
