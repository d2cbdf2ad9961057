"""Division by zero: any value, as it is x in IEEE 1800-2017 (11.4.3) and solvers disagree."""

from __future__ import annotations

import itertools
import re

_DIVISION = re.compile(
    r"^  cell \$(?:div|mod|divfloor|modfloor) .+\n(?:    .+\n)+?  end\n", re.MULTILINE
)
_PARAMETER = re.compile(r"^    parameter (?:signed )?\\(\w+) (.+)$", re.MULTILINE)
_PORT = re.compile(r"^    connect \\(\w+) (.+)$", re.MULTILINE)
_CONSTANT = re.compile(r"\d+|\d+'[01]+")


def free(head: str) -> str:
    """`head`, the RTLIL of a module, with free results where a divisor is 0."""
    numbers = itertools.count()
    return _DIVISION.sub(lambda found: _free(found[0], f"\\of_division{next(numbers)}"), head)


def _free(cell: str, name: str) -> str:
    """The division `cell`, and a multiplexer that takes its result if the divisor is not 0."""
    parameters, ports = dict(_PARAMETER.findall(cell)), dict(_PORT.findall(cell))
    if _CONSTANT.fullmatch(ports["B"]):
        return cell
    width = parameters["Y_WIDTH"]
    result = f"    connect \\Y {ports['Y']}\n"
    division = cell.replace(result, f"    connect \\Y {name}_result\n")
    return (
        f"  wire width {width} {name}_result\n  wire width {width} {name}_any\n"
        f"  wire {name}_defined\n{division}"
        f"  cell $reduce_bool {name}_divisor\n    parameter \\A_SIGNED 0\n"
        f"    parameter \\A_WIDTH {parameters['B_WIDTH']}\n    parameter \\Y_WIDTH 1\n"
        f"    connect \\A {ports['B']}\n    connect \\Y {name}_defined\n  end\n"
        f"  cell $anyseq {name}_free\n    parameter \\WIDTH {width}\n"
        f"    connect \\Y {name}_any\n  end\n"
        f"  cell $mux {name}_choice\n    parameter \\WIDTH {width}\n"
        f"    connect \\A {name}_any\n    connect \\B {name}_result\n"
        f"    connect \\S {name}_defined\n{result}  end\n"
    )
