"""What the public address serves: webhooks, and the pages of health.

In: the parts of a process. Out: one application. Refuses nothing of its own.
"""

from dataclasses import dataclass

from actors.tenants.host import TenantHost
from app.bootstrap.bus_side import BusSide
from app.bootstrap.options import StartOptions
from app.bootstrap.providers import Providers
from app.control.names import blobs_bucket
from app.http.asgi import AsgiApp
from app.http.doors import IngressPorts, ReadinessCheck
from app.http.ingress import EventIngress
from app.http.origin import PublicUrls
from app.http.pages import build_public_pages
from app.http.public import PublicApp
from app.http.routes import RouteTable
from app.observability.metrics import Metrics
from app.providers.catalog import provider_specs
from app.stores.blobs import ObjectBlobs


@dataclass(frozen=True, slots=True)
class IngressParts:
    """What the public application works with."""

    host: TenantHost
    providers: Providers
    side: BusSide
    metrics: Metrics
    not_ready: ReadinessCheck


def build_public_app(options: StartOptions, parts: IngressParts) -> AsgiApp:
    """Build it."""
    side = parts.side
    ports = IngressPorts(
        doors=parts.host.door,
        providers=parts.providers.find,
        answers=side.inbox,
        blobs=ObjectBlobs(side.bus.client, blobs_bucket(options.env)),
        ids=side.world.ids,
    )
    urls = PublicUrls(parts.providers.base_url, options.trusted_proxies)
    ingress = EventIngress(RouteTable(provider_specs()), ports, side.clock, urls)
    return PublicApp(ingress, build_public_pages(parts.not_ready), parts.metrics.requests)
