"""Runs inside the simulator, in the sandbox: lists the cocotb tests of a module.

cocotb is told that this is a test module; importing it imports the user's module
(``OPENFORGE_TEST_MODULE``) and writes its tests to ``tests.json``. Only the standard library and
cocotb are used: OpenForge itself is not on the path of a test.
"""

import json
import os
import traceback
from importlib import import_module
from pathlib import Path

import cocotb
from cocotb.regression import Test, TestGenerator


def _tests(module: str) -> "list[Test]":
    found: list[Test] = []
    for value in vars(import_module(module)).values():
        if isinstance(value, Test):
            found.append(value)
        elif isinstance(value, TestGenerator):
            found += value.generate_tests()
    return found


def _traceback(error: BaseException) -> str:
    """The traceback of `error` with frames of the user's folders only."""
    *folders, _own = os.environ["PYTHONPATH"].split(os.pathsep)
    whole = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = whole
    while link is not None:
        own = [f for f in link.stack if any(Path(f.filename).is_relative_to(d) for d in folders)]
        link.stack = traceback.StackSummary.from_list(own)
        link = link.__cause__ or link.__context__
    return "".join(whole.format())


def _list() -> None:
    answer: dict[str, object]
    try:
        tests = _tests(os.environ["OPENFORGE_TEST_MODULE"])
        answer = {
            "tests": [
                {"module": t.module, "name": t.name, "skip": bool(t.skip), "stage": t.stage}
                for t in tests
            ]
        }
    except BaseException as error:  # a test module may raise anything, also SystemExit
        answer = {"error": f"{type(error).__name__}: {error}", "traceback": _traceback(error)}
    Path("tests.json").write_text(json.dumps(answer), encoding="utf-8")


_list()


@cocotb.test()  # type: ignore[untyped-decorator,unused-ignore]
async def openforge_nothing(dut: object) -> None:
    """Let cocotb end the simulation in its usual way."""
