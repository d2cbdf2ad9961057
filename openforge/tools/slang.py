"""slang: elaboration of SystemVerilog, as a program of its own in the sandbox, cached."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from openforge.errors import DesignError, ToolError
from openforge.settings import Settings
from openforge.tools import process

WORKER = Path(__file__).with_name("inside") / "slang_worker.py"
_LIMITS = process.Limits(timeout_s=120, memory_bytes=4 << 30)


@functools.cache
def worker_digest() -> str:
    """SHA-256 of the worker: another worker may give another answer."""
    total = hashlib.sha256()
    for path in sorted(WORKER.parent.glob("slang_*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()


def elaborate(request: dict[str, Any], *, readable: Iterable[Path]) -> dict[str, Any]:
    """The worker's answer to `request` (see `slang_worker.elaborate`).

    Raises ToolError when slang crashed or ran out of a limit, DesignError when it could not even
    begin: a define or a parameter that it does not accept.
    """
    with tempfile.TemporaryDirectory(prefix="openforge-") as scratch:
        work = Path(scratch)
        asked, answered, log = (work / f"slang.{end}" for end in ("request", "answer", "log"))
        asked.write_text(json.dumps(request), encoding="utf-8")
        ended = process.run(
            [sys.executable, "-s", WORKER, asked, answered],
            cwd=work,
            log=log,
            limits=_LIMITS,
            readable=readable,
            writable=[work],
        )
        said = "; ".join(line for line in ended.tail if "error" in line)[:600]
        if not ended.ok:
            raise ToolError(
                f"slang could not elaborate the design: {ended.outcome.value}, code "
                f"{ended.returncode}, after {ended.duration_s:.0f} s\n" + "\n".join(ended.tail[-8:])
            )
        try:
            answer: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ToolError(f"slang left no readable answer: {error}") from error
    if "problem" in answer:
        raise DesignError(f"{answer['problem']}: {said}" if said else str(answer["problem"]))
    return answer


def cached(
    request: dict[str, Any],
    digest: str,
    *,
    readable: Iterable[Path],
    keep: Callable[[dict[str, Any]], bool],
) -> dict[str, Any]:
    """As `elaborate`, from the cache where the entry `digest` is there and whole.

    Only designs that elaborate are kept, as what a broken one lacks may turn up anywhere, and only
    answers that `keep` is true of: those that depend on nothing but what `digest` knows.
    """
    entry = Settings().cache / "designs" / f"{digest}.json"
    answer = _fetch(entry)
    if answer is None:
        answer = elaborate(request, readable=readable)
        if answer["elaborated"] and keep(answer):
            _store(entry, answer)
    return answer


def _fetch(entry: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads(entry.read_text(encoding="utf-8"))
        text, total = stored["answer"], stored["sha256"]
        if hashlib.sha256(text.encode()).hexdigest() != total:
            return None
        answer: dict[str, Any] = json.loads(text)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return answer


def _store(entry: Path, answer: dict[str, Any]) -> None:
    """Write a cache entry whole or not at all; a cache that cannot be written is no error."""
    text = json.dumps(answer)
    total = hashlib.sha256(text.encode()).hexdigest()
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=entry.parent, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump({"sha256": total, "answer": text}, stream)
            Path(part).replace(entry)
        except OSError:
            Path(part).unlink(missing_ok=True)
