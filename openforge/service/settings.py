"""Settings of the service: from the environment or ``.env``, as ``OPENFORGE_<NAME>``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from openforge.errors import OpenForgeError

# Svix's schedule: seconds to wait before each attempt.
RETRIES_S = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)


def _words(value: Any) -> Any:
    """A list as people write it in an environment variable: with commas."""
    return [w.strip() for w in value.split(",") if w.strip()] if isinstance(value, str) else value


def _jobs() -> int:
    """Two, so that a long job does not hold up all others; more where there are cores for them."""
    return max(2, len(os.sched_getaffinity(0)) // 2)


class ServiceSettings(BaseSettings):
    """What the service allows, and how much of it."""

    model_config = SettingsConfigDict(env_prefix="OPENFORGE_", frozen=True, extra="ignore")

    auth_enabled: bool = Field(False, description="ask for a token; off: loopback only")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        (), description="Host names to answer to, with commas; empty: all (with tokens)"
    )
    jobs_at_a_time: int = Field(default_factory=_jobs, ge=1, le=256, description="running jobs")
    queue_capacity: int = Field(1000, ge=1, description="jobs that may wait")
    submissions_per_hour: int = Field(60, ge=1, description="job submissions an hour and project")
    results_per_minute: int = Field(300, ge=1, description="result requests a minute and user")
    requests_per_minute: int = Field(60_000, ge=1, description="other requests a minute and user")
    failed_logins_per_minute: int = Field(60, ge=1, description="wrong tokens a minute and address")
    websockets_per_user: int = Field(10, ge=1, description="open streams a user")
    followers_per_user: int = Field(50, ge=1, description="open `logs?follow=true` a user")
    upload_mb: int = Field(100, ge=1, description="size of one upload request, MB (2^20 bytes)")
    idle_upload_s: float = Field(30.0, gt=0, description="a request that stalls longer is ended")
    webhook_private: bool = Field(False, description="webhooks may go to private networks")
    webhook_timeout_s: float = Field(15.0, gt=0, description="time limit of one delivery")
    webhook_retries_s: Annotated[tuple[float, ...], NoDecode, BeforeValidator(_words)] = Field(
        RETRIES_S, min_length=1, description="seconds before each attempt, with commas"
    )
    drain_s: float = Field(10.0, ge=0, description="how long a shutdown waits for running jobs")
    heartbeat_s: float = Field(15.0, gt=0, description="how often an idle stream says so")
    slow_reader_s: float = Field(10.0, gt=0, description="a stream whose reader is slower is cut")
    min_free_mb: int = Field(200, ge=0, description="below this, health says so and jobs wait")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="of the log")


def load_env_file(path: Path) -> None:
    """Take the ``OPENFORGE_`` variables of an ``.env`` file that are not in the environment.

    Raises OpenForgeError when it cannot be read.
    """
    try:
        found = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise OpenForgeError(f"{path.name} cannot be read: {error}") from None
    for name, value in found.items():
        if name.startswith("OPENFORGE_") and value is not None:
            os.environ.setdefault(name, value)


def load() -> ServiceSettings:
    """The settings. Raises OpenForgeError with the name of the variable that is wrong."""
    try:
        return ServiceSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"][:1]).upper()
        raise OpenForgeError(f"OPENFORGE_{name}: {first['msg']}") from None
