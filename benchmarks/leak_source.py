"""What the mutators have to know of a core: its clocked process, and where its secrets go.

Read from the syntax tree and the annotation alone, with nothing of the check that is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyslang.syntax import SyntaxNode, SyntaxTree

from openforge import config, design

_ASSIGNMENTS = ("NonblockingAssignmentExpression", "AssignmentExpression")


@dataclass(frozen=True)
class Assignment:
    """``target <= value`` in the clocked process; `start` and `end` are where the value is."""

    target: str
    value: str
    start: int
    end: int
    reads: frozenset[str]
    block: int
    form: str


@dataclass(frozen=True)
class Block:
    """A begin-end block of the process: offsets behind its ``begin`` and of its ``end``.

    `writes` are the registers that are assigned in it; `accepts`: one takes a secret input.
    """

    begin: int
    end: int
    writes: frozenset[str]
    accepts: bool


@dataclass(frozen=True)
class Core:
    """A core with one clocked process that has a reset.

    `secret` and `clean` are its registers that a secret reaches and does not reach; `control` are
    the registers that what is observed depends on; `phases` those that it comes from at once, and
    `states` the names of values of those that are state machines. Block 0 is the whole process
    without its reset.
    """

    name: str
    folder: Path
    file: Path
    text: str = field(repr=False)
    top: str
    interface: Any
    widths: Mapping[str, int]
    resets: Mapping[str, str]
    secret: tuple[str, ...]
    clean: tuple[str, ...]
    control: frozenset[str]
    phases: tuple[str, ...]
    states: Mapping[str, tuple[str, ...]]
    blocks: tuple[Block, ...]
    assignments: tuple[Assignment, ...]
    wires: Mapping[str, tuple[int, int]]
    ports_end: int
    declarations: int
    reset_end: int

    @property
    def done(self) -> str:
        """The register that says that an operation is done; empty if it is none."""
        name = self.interface.done.signal
        return name if name in self.control else ""

    @property
    def public(self) -> tuple[str, ...]:
        """All inputs that are public, but clock and reset."""
        return tuple(self.interface.public)


def read(folder: Path) -> Core:
    """The core in the project `folder`."""
    loaded = config.load(folder)
    design_ = design.load(folder, loaded)
    crypto = loaded.verification.crypto_verification
    assert crypto is not None and crypto.interface is not None
    interface = crypto.interface
    paths = [source.path for source in design_.sources]
    trees = {path: SyntaxTree.fromFile(str(path)) for path in paths}
    modules = {str(m.header.name.value): (p, m) for p, t in trees.items() for m in _modules(t.root)}
    path, module = modules[design_.top]
    outputs = {name: _outputs(m) for name, (_, m) in modules.items()}
    process = next(p for p in map(_Process, _found(module, "AlwaysFFBlock")) if p.has_reset)
    process.read(set(interface.secrets))
    flows = dict(_flows(module, outputs))
    secret = _reached(set(interface.secrets), flows)
    needed = _needed(set(interface.observables), flows)
    near = {n for name in interface.observables for n in (name, *_continuous(module, name))}
    done = interface.done.signal if interface.done else ""
    widths = {port.name: port.width for port in design_.ports}
    widths |= {register.name: register.width for register in design_.registers}
    known = [name for name in process.resets if name in widths]
    return Core(
        name=folder.name,
        folder=folder,
        file=path.relative_to(folder),
        text=path.read_text(encoding="utf-8"),
        top=design_.top,
        interface=interface,
        widths=widths,
        resets=process.resets,
        secret=tuple(name for name in known if name in secret),
        clean=tuple(name for name in known if name not in secret),
        control=frozenset(name for name in known if name in needed),
        phases=tuple(name for name in known if name in near and name != done),
        states=_states(module),
        blocks=tuple(process.blocks),
        assignments=tuple(process.assignments),
        wires=dict(_wires(module, needed)),
        ports_end=module.header.ports.closeParen.range.start.offset,
        declarations=module.header.semi.range.end.offset,
        reset_end=process.reset_end,
    )


class _Process:
    """One ``always_ff``; with a reset if all it does is a choice between reset and the rest."""

    def __init__(self, node: Any) -> None:
        self.node = node
        body = node.statement.statement
        items = list(body.items) if _kind(body) == "SequentialBlockStatement" else []
        self._choice = items[0] if len(items) == 1 else None
        self.has_reset = self._choice is not None and self._choice.elseClause is not None
        self.blocks: list[Block] = []
        self.assignments: list[Assignment] = []
        self.resets: dict[str, str] = {}
        self.reset_end = 0

    def read(self, secrets: set[str]) -> None:
        choice: Any = self._choice
        for node in _found(choice.statement, _ASSIGNMENTS[0]):
            self.resets[_text(node.left)] = _text(node.right)
        self.reset_end = choice.statement.end.range.start.offset
        self._blocks(choice.elseClause.clause, 0, secrets)

    def _blocks(self, node: SyntaxNode, inside: int, secrets: set[str]) -> None:
        if _kind(node) == "SequentialBlockStatement":
            inside = len(self.blocks)
            assigned = list(_found(node, _ASSIGNMENTS[0]))
            self.blocks.append(
                Block(
                    node.begin.range.end.offset,
                    node.end.range.start.offset,
                    frozenset(_text(one.left) for one in assigned),
                    any(_names(one.right) & secrets for one in assigned),
                )
            )
        if _kind(node) == _ASSIGNMENTS[0]:
            where = node.right.sourceRange
            self.assignments.append(
                Assignment(
                    _text(node.left),
                    _text(node.right),
                    where.start.offset,
                    where.end.offset,
                    frozenset(_names(node.right)),
                    inside,
                    _kind(node.right),
                )
            )
        for child in _children(node):
            self._blocks(child, inside, secrets)


def _flows(module: Any, outputs: Mapping[str, set[str]]) -> Iterator[tuple[str, set[str]]]:
    """What each name is made from, by data or by choice."""
    found: dict[str, set[str]] = {}

    def visit(node: SyntaxNode, chosen: set[str]) -> None:
        kind = _kind(node)
        if kind == "FunctionDeclaration":
            return
        if kind == "ConditionalStatement":
            chosen = chosen | _names(node.predicate)
        elif kind == "CaseStatement":
            chosen = chosen | _names(node.expr)
        elif kind in _ASSIGNMENTS:
            target = re.split(r"\W", _text(node.left))[0]
            found.setdefault(target, set()).update(_names(node.right), _names(node.left), chosen)
        elif kind == "HierarchyInstantiation":
            ports = {str(c.name.value): _names(c.expr) for c in _found(node, "NamedPortConnection")}
            out = outputs.get(str(node.type.value), set())
            read = {n for port, names in ports.items() if port not in out for n in names}
            for name in {n for port, names in ports.items() if port in out for n in names}:
                found.setdefault(name, set()).update(read)
        for child in _children(node):
            visit(child, chosen)

    visit(module, set())
    yield from found.items()


def _reached(names: set[str], flows: Mapping[str, set[str]]) -> set[str]:
    reached = set(names)
    while more := {n for n, made in flows.items() if made & reached} - reached:
        reached |= more
    return reached


def _needed(names: set[str], flows: Mapping[str, set[str]]) -> set[str]:
    needed = set(names)
    while more := {n for name in needed for n in flows.get(name, ())} - needed:
        needed |= more
    return needed


def _continuous(module: Any, name: str) -> set[str]:
    """The names in the continuous assignments to `name`, through others of them."""
    made = {
        _text(one.left): _names(one.right)
        for item in _found(module, "ContinuousAssign")
        for one in _found(item, "AssignmentExpression")
    }
    return _needed({name}, made)


def _wires(module: Any, needed: set[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where the values of continuous assignments are on which the process decides."""
    decided = {
        name
        for process in _found(module, "AlwaysFFBlock")
        for node in _found(process, "ConditionalPredicate")
        for name in _names(node)
    }
    for item in _found(module, "ContinuousAssign"):
        for node in _found(item, "AssignmentExpression"):
            if _text(node.left) in needed & decided:
                where = node.right.sourceRange
                yield _text(node.left), (where.start.offset, where.end.offset)


def _states(module: Any) -> dict[str, tuple[str, ...]]:
    """The names of the values of each variable of an enumerated type."""
    types = {
        str(node.name.value): tuple(str(d.name.value) for d in _found(node.type, "Declarator"))
        for node in _found(module, "TypedefDeclaration")
        if _kind(node.type) == "EnumType"
    }
    return {
        str(declared.name.value): types[_text(node.type)]
        for node in _found(module, "DataDeclaration")
        if _text(node.type) in types
        for declared in _found(node, "Declarator")
    }


def _outputs(module: Any) -> set[str]:
    return {
        str(declared.name.value)
        for port in _found(module.header, "ImplicitAnsiPort")
        if _text(port.header).startswith("output")
        for declared in _found(port, "Declarator")
    }


def _modules(root: Any) -> Iterable[Any]:
    return [root] if _kind(root) == "ModuleDeclaration" else _found(root, "ModuleDeclaration")


def _found(node: SyntaxNode, kind: str) -> Iterator[Any]:
    for child in _children(node):
        if _kind(child) == kind:
            yield child
        yield from _found(child, kind)


def _children(node: SyntaxNode) -> Sequence[Any]:
    return [child for child in node if isinstance(child, SyntaxNode)]


def _kind(node: Any) -> str:
    return str(node.kind.name)


def _names(node: Any) -> set[str]:
    return set(re.findall(r"(?<![\w'.])[A-Za-z_]\w*", re.sub(r"//.*", "", str(node))))


def _text(node: Any) -> str:
    """A node's text without the comments before it."""
    return re.sub(r"//.*", "", str(node)).strip()
