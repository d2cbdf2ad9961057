"""Runs in the sandbox: reads signals of waveforms with pywellen and writes them as JSON.

A waveform was written by a simulation of somebody's design, so the library that parses it is kept
as far from OpenForge as the simulation itself. Arguments: a JSON file with the request, the answer.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pywellen


def _read(path: str, wanted: "list[list[str]]", limit: int) -> "list[object]":
    """For each list of possible names the changes ``[[time, value], ...]``, None when not there."""
    wave = pywellen.Waveform(path)
    known: dict[str, Any] = {}
    for variable in wave.all_vars():
        known.setdefault(variable.full_name, variable)
    answer: list[object] = []
    for names in wanted:
        variable = next((known[name] for name in names if name in known), None)
        if variable is None:
            answer.append(None)
            continue
        changes = [[time, value] for time, value in variable.tv]
        if len(changes) > limit:
            raise SystemExit(f"{names[0]} changes {len(changes)} times, more than {limit}")
        answer.append(changes)
    return answer


def main() -> None:
    """Answer the request in the file named first, to the file named second."""
    request = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    answer = [_read(path, request["signals"], request["limit"]) for path in request["files"]]
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


main()
