"""slang: elaboration of SystemVerilog, as a program of its own in the sandbox."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from openforge.errors import DesignError, ToolError
from openforge.tools import process

WORKER = Path(__file__).with_name("inside") / "slang_worker.py"
_LIMITS = process.Limits(timeout_s=120, memory_bytes=4 << 30)


def elaborate(request: dict[str, Any], *, project: Path, work: Path) -> dict[str, Any]:
    """The worker's answer to `request` (see `slang_worker.elaborate`), made in the folder `work`.

    Raises ToolError when slang crashed or ran out of a limit, DesignError when it could not even
    begin: a define or a parameter that it does not accept.
    """
    asked, answered = work / "slang-request.json", work / "slang-answer.json"
    asked.write_text(json.dumps(request), encoding="utf-8")
    process.run(
        [sys.executable, "-s", WORKER, asked, answered],
        cwd=work,
        log=work / "slang.log",
        limits=_LIMITS,
        readable=[project],
        writable=[work],
    ).expect("slang")
    try:
        answer: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(f"slang left no readable answer: {error}", work / "slang.log") from error
    if "problem" in answer:
        raise DesignError(f"{answer['problem']}: {_last_words(work / 'slang.log')}")
    return answer


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    return "; ".join(line for line in lines if "error" in line)[:600] or "see slang.log"
