"""``bitwuzla --lang smt2`` on the bitwuzla wheel, which is a library only: SMT-LIB on stdin.

Answers each command as soon as it is complete, which is what yosys-smtbmc waits for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import bitwuzla

_SILENT = ("(declare", "(define", "(assert", "(set-info")


def commands(handle: int) -> Iterator[str]:
    """The complete SMT-LIB commands that arrive on the file descriptor `handle`."""
    text, depth, at, mode = "", 0, 0, ""
    while chunk := os.read(handle, 1 << 16).decode():
        text += chunk
        while at < len(text):
            char = text[at]
            at += 1
            if mode:  # inside a comment, a string or a quoted symbol up to its end
                mode = "" if char == mode else mode
            elif char in ';"|':
                mode = "\n" if char == ";" else char
            elif char == "(":
                depth += 1
            elif char == ")":
                depth -= 1
                if depth == 0:
                    yield text[:at]
                    text, at = text[at:], 0


def main() -> None:
    """Answer commands until ``(exit)`` or the end of the input."""
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.PRODUCE_MODELS, True)
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
    waiting: list[str] = []
    for command in commands(0):
        word = command.lstrip()
        if word.startswith("(exit"):
            break
        stack = word.startswith(("(push", "(pop"))
        if not stack:
            waiting.append(command)
        if word.startswith(_SILENT):
            continue
        if waiting:
            parser.parse("\n".join(waiting), False, False)
            waiting.clear()
        if stack:  # bitwuzla 0.10: the parser miscounts levels across calls, the solver does not
            levels = int("".join(filter(str.isdigit, word)) or 1)
            solver = parser.bitwuzla()
            (solver.push if word.startswith("(push") else solver.pop)(levels)
        sys.stdout.flush()


if __name__ == "__main__":
    if "--version" in sys.argv:
        print(bitwuzla.version())
    else:
        main()
    sys.stdout.flush()
    os._exit(0)  # the library's destructors take longer than the work
