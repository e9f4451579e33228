"""The yardstick of `webhooks`: a Starlette route that does nothing."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def nothing(_: Request) -> Response:
    return Response(status_code=202)


app = Starlette(routes=[Route("/events/webhook/{tenant}/{event_type}", nothing, methods=["POST"])])
