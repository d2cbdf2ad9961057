"""Assertions, assumptions and cover points of an elaborated design. Part of the slang worker."""

from __future__ import annotations

import re
from typing import Any

from slang_values import kind, operator

_ASSERTIONS = ("ImmediateAssertionStatement", "ConcurrentAssertionStatement")
_KINDS = {
    "Assert": "assert",
    "Assume": "assume",
    "CoverProperty": "cover",
    "CoverSequence": "cover",
    "Restrict": "assume",
    "Expect": "assert",
}
_INSTEAD = "write a clocked Boolean expression, or registers and an immediate assertion"
_REPORTS = ("$error", "$fatal", "$stop")
_OPERATORS = {
    "OverlappedImplication": "|->",
    "NonOverlappedImplication": "|=>",
    "Not": "not",
    "And": "and",
    "Or": "or",
    "Iff": "iff",
    "Implies": "implies",
    "Intersect": "intersect",
    "Within": "within",
    "Throughout": "throughout",
    "Until": "until",
    "SUntil": "s_until",
    "UntilWith": "until_with",
    "SUntilWith": "s_until_with",
    "OverlappedFollowedBy": "#-#",
    "NonOverlappedFollowedBy": "#=#",
    "NextTime": "nexttime",
    "SNextTime": "s_nexttime",
    "Always": "always",
    "SAlways": "s_always",
    "Eventually": "eventually",
    "SEventually": "s_eventually",
}
_WORDS = {
    "SequenceConcatExpr": "##",
    "ConditionalAssertionExpr": "if",
    "CaseAssertionExpr": "case",
    "StrongWeakAssertionExpr": "strong/weak",
    "FirstMatchAssertionExpr": "first_match",
    "AbortAssertionExpr": "accept_on/reject_on",
    "SequenceWithMatchExpr": "a match item",
}


def properties_of(top: Any, blocks: list[Any], places: Any) -> list[dict[str, Any]]:
    """The properties in `blocks` as plain data; names are unique."""
    found: list[dict[str, Any]] = []
    for block in blocks:

        def visit(node: Any, block: Any = block) -> None:
            if kind(node) in _ASSERTIONS:
                found.append(_property(node, block, top, places))

        block.visit(visit)
    taken: set[str] = set()
    for row in found:
        name, number = row["name"], 2
        while row["name"] in taken:
            row["name"], number = f"{name}_{number}", number + 1
        taken.add(row["name"])
    return found


def _property(node: Any, block: Any, top: Any, places: Any) -> dict[str, Any]:
    word = str(node.assertionKind).rsplit(".", 1)[-1]
    concurrent = kind(node) == "ConcurrentAssertionStatement"
    label = getattr(getattr(node.syntax, "label", None), "name", None)
    place = places.of(node.sourceRange.start) or {"file": "", "line": 0, "column": 0}
    problem = _problem(node, word) if concurrent else _immediate_problem(block)
    if concurrent and not problem and _has_default_disable(block):
        problem = f"'default disable iff' is not supported yet; {_INSTEAD}"
    what = _KINDS.get(word, "assert")
    name = label.valueText if label is not None else f"{what}_{place['line']}"
    path = block.hierarchicalPath.removeprefix(top.name).strip(".")
    return {
        "name": f"{path}.{name}" if path else name,
        "kind": what,
        "location": place,
        "text": _text(node, concurrent),
        "concurrent": concurrent,
        "silent": _silent(node),
        "supported": not problem,
        "problem": f"line {place['line']}: {problem}" if problem else "",
    }


def _silent(node: Any) -> bool:
    """Whether a simulator goes on when the property fails: its own else branch reports nothing."""
    if node.ifFalse is None:
        return False
    called: list[str] = []

    def visit(inner: Any) -> None:
        if kind(inner) == "CallExpression":
            called.append(inner.subroutineName)

    node.ifFalse.visit(visit)
    return not any(name in _REPORTS for name in called)


def _text(node: Any, concurrent: bool) -> str:
    """What is asserted, on one line and without comments."""
    if concurrent:
        return " ".join(_bare(str(node.syntax.propertySpec)).split())
    text = " ".join(_bare(str(node.syntax.expr)).split())  # with its own pair of parentheses
    return text.removeprefix("(").removesuffix(")").strip()


def _immediate_problem(block: Any) -> str:
    if "Final" in str(block.procedureKind):
        return (
            "an assertion in a 'final' block holds at no clock edge; move it to an 'always' block"
        )
    return ""


def _has_default_disable(block: Any) -> bool:
    """Whether the module around `block` says ``default disable iff`` (Yosys would ignore it)."""
    definition = getattr(block.declaringDefinition, "syntax", None)
    return bool(re.search(r"\bdefault\s+disable\s+iff\b", _bare(str(definition))))


def _bare(text: str) -> str:
    """Source text without its comments and strings."""
    return re.sub(r'//[^\n]*|/\*.*?\*/|"[^"]*"', " ", text, flags=re.DOTALL)


def _problem(node: Any, word: str) -> str:
    """Why a concurrent assertion cannot be used for a proof yet, or an empty text."""
    if word in ("Restrict", "Expect", "CoverSequence"):
        said = "cover sequence" if word == "CoverSequence" else word.lower()
        return f"'{said}' is not supported yet; {_INSTEAD}"
    spec = node.propertySpec
    while kind(spec) == "ClockingAssertionExpr":
        spec = spec.expr
    if kind(spec) == "DisableIffAssertionExpr":
        spec = spec.expr
    found = _foreign(spec)
    if found:
        return f"{found} is not supported yet; {_INSTEAD}"
    text = _bare(str(node.syntax))
    if not re.search(r"\(\s*@", text):
        return f"a property that takes its clock from elsewhere is not supported yet; {_INSTEAD}"
    if re.search(r"\)\s*@|@\s*\([^)]*\biff\b", text):
        return f"more than one clock, or a clock with 'iff', is not supported yet; {_INSTEAD}"
    return ""


def _foreign(spec: Any) -> str:
    """What in a property is no Boolean expression: its operator, or the name of what it calls."""
    name = kind(spec)
    if name == "SimpleAssertionExpr":
        if spec.repetition is not None:
            return "the repetition '[*', '[=' or '[->'"
        called: list[str] = []

        def visit(node: Any) -> None:
            if kind(node) == "AssertionInstanceExpression":
                called.append(f"the named property or sequence '{node.symbol.name}'")

        spec.expr.visit(visit)
        return called[0] if called else ""
    if name in ("BinaryAssertionExpr", "UnaryAssertionExpr"):
        sign = operator(spec)
        inner = [getattr(spec, side) for side in ("left", "right", "expr") if hasattr(spec, side)]
        deeper = [found for found in map(_foreign, inner) if found]
        temporal = sign not in ("Not", "And", "Or", "Iff", "Implies")
        return f"'{_OPERATORS.get(sign, sign)}'" if temporal or not deeper else deeper[0]
    return f"'{_WORDS.get(name, name)}'"
