"""The counters of the server, in the text format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters of one server. Labels have few values: paths as the server names them, and models that it has.

    Attributes:
        requests: Answered requests, by path, model and status.
        errors: Refused and failed requests, by reason (:data:`holdfast.serve.refusals.REASONS` and others).
        seconds: Time from the head of a request to the end of its answer, by path.
        waiting: Requests that wait for a thread.
        computing: Requests that a thread computes.
        connections: Open connections, websockets included.
        tokens: Generated tokens, by model.
        rows: Rows in one call of the kernels for streams, by model.
        sequences: Live sequences and streams, by model.
        steps: Steps of streams, by model.
        evictions: Sequences that were given up, by model and reason.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        model = ["model"]
        self.requests = Counter(
            "holdfast_requests", "Answered requests.", ["path", "model", "status"], registry=registry
        )
        self.errors = Counter("holdfast_errors", "Refused and failed requests.", ["reason"], registry=registry)
        self.seconds = Histogram(
            "holdfast_request_seconds", "Time per request.", ["path"], buckets=_SECONDS, registry=registry
        )
        self.waiting = Gauge("holdfast_queue_requests", "Requests that wait for a thread.", registry=registry)
        self.computing = Gauge("holdfast_computing_requests", "Requests that a thread computes.", registry=registry)
        self.connections = Gauge("holdfast_connections", "Open connections.", registry=registry)
        self.tokens = Counter("holdfast_generated_tokens", "Generated tokens.", model, registry=registry)
        self.rows = Histogram(
            "holdfast_stream_rows", "Rows in one call of the kernels.", model, buckets=_ROWS, registry=registry
        )
        self.sequences = Gauge("holdfast_live_sequences", "Live sequences and streams.", model, registry=registry)
        self.steps = Counter("holdfast_stream_steps", "Steps of streams.", model, registry=registry)
        self.evictions = Counter(
            "holdfast_evictions", "Sequences that were given up.", ["model", "reason"], registry=registry
        )

    def text(self) -> bytes:
        """All counters as Prometheus reads them."""
        return generate_latest(self.registry)
