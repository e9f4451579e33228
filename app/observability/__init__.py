"""Logs and metrics: what the process says about itself.

In: the core's observations and the ingress's counts. Out: log lines and Prometheus metrics, from
one table. Refuses payloads and secrets. Inside this package import the modules, not this door.
"""

from app.observability.logs import configure_logging
from app.observability.metrics import Metrics
from app.observability.observer import ReportingObserver
from app.observability.requests import RequestMeter

__all__ = ["Metrics", "ReportingObserver", "RequestMeter", "configure_logging"]
