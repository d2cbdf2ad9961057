"""What Prometheus sees of the service. Labels take few values: never a path, a user or a job."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "openforge_http_requests_total",
            "HTTP requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "openforge_http_request_duration_seconds",
            "Time from a request's headers to the end of its response",
            ("method", "route"),
            registry=self.registry,
        )
        self.websockets = Gauge(
            "openforge_websockets", "WebSocket connections open", registry=self.registry
        )
        self.jobs_submitted = Counter(
            "openforge_jobs_submitted_total", "Jobs accepted", registry=self.registry
        )
        self.jobs_finished = Counter(
            "openforge_jobs_finished_total",
            "Jobs that ended, by final status",
            ("status",),
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "openforge_queue_depth", "Jobs that wait for a worker", registry=self.registry
        )
        self.jobs_running = Gauge(
            "openforge_jobs_running", "Jobs that a worker runs", registry=self.registry
        )
        self.webhook_deliveries = Counter(
            "openforge_webhook_deliveries_total",
            "Webhook deliveries, by outcome",
            ("outcome",),
            registry=self.registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request. `route` is a path template or ``unmatched``, never a path."""
        known = method if method in _METHODS else "OTHER"
        self._requests.labels(known, route, str(status)).inc()
        self._request_seconds.labels(known, route).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """All metrics in Prometheus' text format, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4
