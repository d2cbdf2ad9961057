"""The service's log: one JSON object a line on stderr, and the id that each line carries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

_REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)


def request_id() -> str | None:
    """The id of the request that this code works for, if any."""
    return _REQUEST_ID.get()


@contextmanager
def for_request(id_: str) -> Iterator[None]:
    """Log lines from within carry this request id."""
    token = _REQUEST_ID.set(id_)
    try:
        yield
    finally:
        _REQUEST_ID.reset(token)


class JsonLines(JsonFormatter):
    """A log record as one line of JSON; what would break a line is escaped."""

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """The fields of a line: time, level, logger, message, request, then the record's extras."""
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = record.message
        if (id_ := request_id()) is not None:
            log_data["request_id"] = id_
        super().add_fields(log_data, record, message_dict)
        log_data.pop("color_message", None)  # uvicorn's second copy of the message, with escapes


class NoSocketPaths(logging.Filter):
    """Keeps back what uvicorn logs for a WebSocket.

    uvicorn 0.54 writes these lines at INFO, with the query string, to the logger of its errors,
    and has no option to leave them out. `api.observe` logs a line without the query instead.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        return '"WebSocket %s"' not in str(record.msg)


def configure_logging(level: str) -> dict[str, Any]:
    """The ``logging.config.dictConfig`` for the service, also for uvicorn's `log_config`.

    `level` is that of this project's own loggers. Libraries log warnings and worse only: HTTP
    clients and servers write whole URLs and headers, hence secrets, when they are verbose. For the
    same reason uvicorn stays at INFO and its access log is off; leave its `log_level` unset.
    """
    quiet = {"level": "CRITICAL", "handlers": [], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"default": {"()": f"{__name__}.JsonLines"}},
        "filters": {"no_socket_paths": {"()": f"{__name__}.NoSocketPaths"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "default",
                "filters": ["no_socket_paths"],
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "api": {"level": level.upper()},
            "openforge": {"level": level.upper()},
            "uvicorn": {"level": "INFO"},
            "uvicorn.access": quiet,
        },
    }
