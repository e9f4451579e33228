"""What a redirect asks for next (RFC 9110, 15.4).

In: a request, where it went, an answer. Out: the next request, or None if the answer is none that
is followed. What was meant for one origin stays there: bodies, and all headers but a few that say
nothing, since any other may be a credential (`Authorization`, `X-Api-Key`, `Private-Token`, …).
Refuses the way from https to http, and a place that cannot be read.
"""

from dataclasses import replace
from typing import Final

import httpx

from actors.errors import PermanentError
from actors.ports import HttpRequest, HttpResponse
from app.outbound.targets import REFUSED, Target, read_target

_BECOMES_GET: Final = frozenset({301, 302, 303})
_FOLLOWED: Final = _BECOMES_GET | {307, 308}
_KEPT_ELSEWHERE: Final = frozenset({"accept", "accept-language", "user-agent"})
_OF_THE_BODY: Final = frozenset({"content-type", "content-length", "content-encoding"})


def next_request(
    request: HttpRequest, target: Target, response: HttpResponse
) -> HttpRequest | None:
    """Give the request that follows."""
    place = response.headers.get("location")
    if response.status not in _FOLLOWED or place is None or request.redirects_max == 0:
        return None
    next_target = _resolve(target, place)
    if target.url.scheme == "https" and next_target.url.scheme == "http":
        raise PermanentError("a redirect leads from https to http", reason=REFUSED)
    following = replace(request, url=str(next_target.url), redirects_max=request.redirects_max - 1)
    if response.status in _BECOMES_GET and request.method not in ("GET", "HEAD"):
        kept = [pair for pair in request.headers if pair[0].lower() not in _OF_THE_BODY]
        following = replace(following, method="GET", body=None, headers=tuple(kept))
    if next_target.origin == target.origin:
        return following
    if following.body is not None:
        return None
    kept = [pair for pair in following.headers if pair[0].lower() in _KEPT_ELSEWHERE]
    return replace(following, headers=tuple(kept))


def _resolve(target: Target, place: str) -> Target:
    try:
        url = target.url.join(place)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise PermanentError("a redirect leads nowhere", reason=REFUSED) from error
    return read_target(str(url))
