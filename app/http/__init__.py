"""HTTP: the public address that takes webhooks in, and the admin address beside it.

In: requests. Out: events handed to a tenant's door, answers of flows, problems, pages for probes.
Refuses what SPEC 9 refuses. Inside this package import the modules, not this door.
"""

from app.http.doors import AnswerInbox, AnswerWaiter, IngressDoor, IngressPorts, ReadinessCheck
from app.http.ingress import EventIngress
from app.http.pages import build_admin_app, build_public_pages
from app.http.problems import Problem, problem_of, status_of
from app.http.protocol import ConnectionLimits
from app.http.public import PublicApp
from app.http.server import HttpServer

__all__ = [
    "AnswerInbox",
    "AnswerWaiter",
    "ConnectionLimits",
    "EventIngress",
    "HttpServer",
    "IngressDoor",
    "IngressPorts",
    "Problem",
    "PublicApp",
    "ReadinessCheck",
    "build_admin_app",
    "build_public_pages",
    "problem_of",
    "status_of",
]
