"""What Prometheus sees of the service. Labels take few values: never a path, a user or a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from openforge.model import State

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


@dataclass(frozen=True)
class Work:
    """Jobs by status, also those of earlier runs of the service; deliveries of this run."""

    jobs: Mapping[str, int]
    deliveries: Mapping[str, int]


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
        self._work = _Work()
        self.registry.register(self._work)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request. `route` is a path template or ``unmatched``, never a path."""
        known = method if method in _METHODS else "OTHER"
        self._requests.labels(known, route, str(status)).inc()
        self._request_seconds.labels(known, route).observe(seconds)

    def render(self, work: Work) -> tuple[bytes, str]:
        """All metrics in Prometheus' text format, and its media type."""
        self._work.now = work
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4


class _Work(Collector):
    """What the control database says of jobs, and the courier of deliveries."""

    def __init__(self) -> None:
        self.now = Work({}, {})

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        jobs = self.now.jobs
        waits, runs = State.QUEUED.value, State.RUNNING.value
        depth = GaugeMetricFamily("openforge_queue_depth", "Jobs that wait for a worker")
        depth.add_metric([], jobs.get(waits, 0))
        running = GaugeMetricFamily("openforge_jobs_running", "Jobs that a worker runs")
        running.add_metric([], jobs.get(runs, 0))
        submitted = CounterMetricFamily("openforge_jobs_submitted", "Jobs accepted")
        submitted.add_metric([], sum(jobs.values()))
        finished = CounterMetricFamily(
            "openforge_jobs_finished", "Jobs that ended, by final status", labels=["status"]
        )
        for status, number in sorted(jobs.items()):
            if status not in (waits, runs):
                finished.add_metric([status], number)
        sent = CounterMetricFamily(
            "openforge_webhook_deliveries", "Attempts to deliver, by outcome", labels=["outcome"]
        )
        for outcome, number in self.now.deliveries.items():
            sent.add_metric([outcome], number)
        yield from (depth, running, submitted, finished, sent)
