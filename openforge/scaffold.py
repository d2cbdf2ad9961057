"""New projects from templates: those in ``templates/projects`` and the shipped examples."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

from openforge import resources
from openforge.errors import OpenForgeError

_NAME = re.compile(r"[^A-Za-z0-9-]+")


def available() -> dict[str, Path]:
    """The templates by name."""
    roots = (resources.folder("templates") / "projects", resources.folder("examples"))
    found = (path for root in roots for path in sorted(root.iterdir()))
    return {path.name: path for path in found if (path / "openforge.yaml").is_file()}


def create(target: Path, template: str) -> tuple[str, ...]:
    """Make the project folder `target` from `template`; returns the names of its files.

    The project is named after its folder. Raises OpenForgeError for an unknown template and for
    a folder that is not empty: nothing is ever overwritten.
    """
    templates = available()
    if template not in templates:
        raise OpenForgeError(f"no template '{template}'; there are {', '.join(templates)}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OpenForgeError(f"{target} is there already and not empty; choose another folder")
    shutil.copytree(
        templates[template],
        target,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", ".*"),
    )
    _rename(target)
    return tuple(p.relative_to(target).as_posix() for p in sorted(target.rglob("*")) if p.is_file())


def _rename(target: Path) -> None:
    """Write the folder's name into ``project.name``, leaving the rest of the file as it is."""
    file = target / "openforge.yaml"
    text = file.read_text(encoding="utf-8")
    old = str(yaml.safe_load(text)["project"]["name"])
    name = _NAME.sub("-", target.resolve().name).strip("-") or old
    file.write_text(text.replace(f"name: {old}", f"name: {name}", 1), encoding="utf-8")
