"""A `yosys` command on pyosys 0.70, which has none of its own; SymbiYosys calls it.

Understands what SymbiYosys and this project use: ``-q -Q -T -t -V``, ``-l FILE``, ``-ql FILE``,
``-p COMMANDS``, ``-s SCRIPT`` and script or RTLIL files as arguments. Runs inside the sandbox.
"""

from __future__ import annotations

import getopt
import importlib.metadata
import os
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Run the passes asked for; the exit code is 1 after the message of the first that failed."""
    try:
        options, files = getopt.gnu_getopt(argv, "qQTtVl:L:p:s:", ["version"])
    except getopt.GetoptError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    if any(name in ("-V", "--version") for name, _ in options):
        print(f"Yosys {importlib.metadata.version('pyosys')} (pyosys)")
        return 0
    quiet = any(name == "-q" for name, _ in options)
    log = next((value for name, value in options if name in ("-l", "-L")), None)
    commands = [_reading(name) for name in files]  # as in Yosys, files come before options
    commands += [command for name, value in options for command in _commands(name, value)]
    if quiet:  # passes print to the C library's stdout: with -q only the log file gets it
        sink = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(sink, 1)
    elif log:
        Path(log).write_bytes(b"")
        commands = [f"tee -a {_word(log)} {command}" for command in commands]
    return _run(commands)


def _commands(name: str, value: str) -> list[str]:
    if name == "-p":  # split here: a "tee" before the line would take only the first of them
        parts = [part for line in value.splitlines() for part in line.split(";")]
        return [part.strip() for part in parts if part.strip()]
    return [f"script {_word(value)}"] if name == "-s" else []


def _reading(name: str) -> str:
    ending = Path(name).suffix
    command = {".ys": "script", ".v": "read_verilog", ".sv": "read_verilog -sv"}.get(ending)
    return f"{command or 'read_rtlil'} {_word(name)}"


def _word(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _run(commands: list[str]) -> int:
    """Run the passes; a pass that fails prints its error and ends the process with code 1."""
    from pyosys import libyosys

    design = libyosys.Design()
    for command in commands:
        libyosys.run_pass(command, design)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # the library's destructors take longer than the work
