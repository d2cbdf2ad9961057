"""The folder of one check's run: the record that everything else is derived from.

``params.json result.json notebook.ipynb log.jsonl manifest.json artifacts/ tables/*.parquet``,
written as ``<check>.tmp/`` and renamed to ``<check>/`` once the manifest is on disk.
`work/` is scratch space for tools and is gone in the sealed folder.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openforge.model import Artifact, Record, State, Verdict

SUFFIX = ".tmp"
MANIFEST = "manifest.json"
_MEDIA_TYPES = {
    ".fst": "application/vnd.gtkwave-fst",
    ".parquet": "application/vnd.apache.parquet",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/x-ndjson",
    ".log": "text/plain",
    ".yw": "application/json",
    ".sby": "text/plain",
}


class Manifest(Record):
    """What a sealed run folder holds, and how the run ended."""

    check: str
    state: State
    verdict: Verdict | None = None
    error: str = ""
    started_at: str
    duration_s: float
    files: tuple[Artifact, ...]


@dataclass(frozen=True)
class RunFolder:
    """An open run folder. `path` is absolute and ends in ``.tmp`` until it is sealed."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """Make the folder `path` (fails if it exists: a run is claimed exactly once)."""
        path.mkdir(parents=True)
        folder = cls(path)
        folder.artifacts.mkdir()
        folder.work.mkdir()
        return folder

    @property
    def artifacts(self) -> Path:
        """Files for the user: waveforms, coverage.xml, logs of tools."""
        return self.path / "artifacts"

    @property
    def work(self) -> Path:
        """Scratch space, the only place (with `artifacts`) that tools may write to."""
        return self.path / "work"

    def table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write ``tables/<name>.parquet`` with the columns that `openforge.tables` declares."""
        from openforge import tables  # pyarrow is slow to import and most readers do not need it

        (self.path / "tables").mkdir(exist_ok=True)
        tables.write(self.path / "tables" / f"{name}.parquet", name, rows)

    def keep(self, source: Path, name: str) -> str:
        """Copy a file that a tool left in `work` to ``artifacts/<name>``; returns `name`.

        Tools run hostile input, so what they leave may be a link or a device: only a regular file
        is taken, and never through a link. Raises OSError otherwise.
        """
        target = self.artifacts / name
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(f"{source.name} is not a regular file")
            with target.open("xb") as copy:
                shutil.copyfileobj(file, copy)
        return name

    def write_json(self, name: str, text: str) -> None:
        """Write a JSON text so that a reader sees the old file or the new one, never a half."""
        target = self.path / name
        scratch = target.with_suffix(".part")
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)

    def seal(  # noqa: PLR0917  (what a manifest says)
        self,
        check: str,
        state: State,
        verdict: Verdict | None,
        error: str,
        started_at: str,
        duration_s: float,
    ) -> Path:
        """List every file with size and SHA-256, sync, rename; returns the final path.

        Files become read-only, so that an editor does not change a record by saving it.
        """
        shutil.rmtree(self.work, ignore_errors=True)
        manifest = Manifest(
            check=check,
            state=state,
            verdict=verdict,
            error=error,
            started_at=started_at,
            duration_s=duration_s,
            files=tuple(_describe(self.path, p) for p in _files(self.path)),
        )
        self.write_json(MANIFEST, manifest.model_dump_json(indent=2))
        for path in (*_files(self.path), self.path / MANIFEST):
            path.chmod(0o444)
        final = self.path.with_name(self.path.name.removesuffix(SUFFIX))
        self.path.rename(final)
        _sync(final.parent)
        return final


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a sealed run folder. Raises FileNotFoundError or pydantic's errors."""
    return Manifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))


def altered(folder: Path) -> tuple[str, ...]:
    """Names of files whose content is no longer what the manifest says (empty: all as sealed).

    The manifest itself is among them when its verdict is not that of the result.
    """
    manifest, wrong = read_manifest(folder), []
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or _describe(folder, path).sha256 != file.sha256:
            wrong.append(file.name)
    sealed = any(file.name == "result.json" for file in manifest.files)
    if sealed and manifest.state is State.DONE and _verdict(folder) != manifest.verdict:
        wrong.append(MANIFEST)
    return tuple(wrong)


def _verdict(folder: Path) -> str | None:
    """The verdict in ``result.json``; None when that cannot be read."""
    try:
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(found.get("verdict"))


def _files(root: Path) -> list[Path]:
    found = (p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    return sorted(p for p in found if p.name != MANIFEST)


def _describe(root: Path, path: Path) -> Artifact:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    guess = _MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return Artifact(
        name=path.relative_to(root).as_posix(),
        size_bytes=path.stat().st_size,
        sha256=digest,
        media_type=guess or "application/octet-stream",
    )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
