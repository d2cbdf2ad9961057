"""Settings from the environment, read once where they are needed and passed on as a value."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, Field

from openforge.errors import OpenForgeError


class SandboxMode(StrEnum):
    """What to do about the sandbox: use it where it can be had, insist on it, or leave it out."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


def _sandbox() -> SandboxMode:
    word = os.environ.get("OPENFORGE_SANDBOX", SandboxMode.AUTO.value)
    try:
        return SandboxMode(word)
    except ValueError:
        known = ", ".join(mode.value for mode in SandboxMode)
        raise OpenForgeError(f"OPENFORGE_SANDBOX is '{word}'; it must be one of {known}") from None


def _workspace() -> Path:
    given = os.environ.get("OPENFORGE_WORKSPACE")
    return Path(given or platformdirs.user_data_dir("openforge")).expanduser().absolute()


def _cache() -> Path:
    given = os.environ.get("OPENFORGE_CACHE")
    return Path(given or platformdirs.user_cache_dir("openforge")).expanduser().absolute()


class Settings(BaseModel):
    """Where things are kept and what is allowed.

    Environment: ``OPENFORGE_WORKSPACE``, ``OPENFORGE_CACHE``, ``OPENFORGE_SANDBOX`` (auto,
    required, off).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: Path = Field(default_factory=_workspace)
    cache: Path = Field(default_factory=_cache)
    sandbox: SandboxMode = Field(default_factory=_sandbox)
