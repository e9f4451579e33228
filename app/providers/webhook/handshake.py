"""The handshake of the CloudEvents webhook specification: whether an origin may send events.

In: the headers of an OPTIONS request. Out: the headers of the answer, or None for no grant. Refuses
a request without ``WebHook-Request-Origin``, an origin that is no host name, and one that is not
allowed: where no origins are configured, every one in ``prod`` and none elsewhere.

Granting says only that deliveries are welcome: each must still be signed. A grant by
``WebHook-Request-Callback`` is not offered: it would have us call whatever URL we are told.
"""

from collections.abc import Collection, Mapping
from typing import Final

from app.providers.webhook.guards import PROD_ENV
from app.providers.webhook.options import ANY_ORIGIN, is_origin

_RATE_CHARS_MAX: Final = 9


def handshake(
    headers: Mapping[str, str], *, allowed_origins: Collection[str], env: str
) -> Mapping[str, str] | None:
    """Answer the question of one origin; ``allowed_origins`` are lower-case, or ``*`` for any.

    A rate (deliveries a minute) is granted as asked for: who sends too much hears 429 (SPEC 9).
    """
    origin = headers.get("webhook-request-origin", "")
    if not is_origin(origin) or not _is_allowed(origin.lower(), allowed_origins, env):
        return None
    granted = {"allow": "POST", "webhook-allowed-origin": origin}
    rate = headers.get("webhook-request-rate")
    if rate is not None:
        granted["webhook-allowed-rate"] = rate if _is_rate(rate) else "*"
    return granted


def _is_allowed(origin: str, allowed_origins: Collection[str], env: str) -> bool:
    if not allowed_origins:
        return env != PROD_ENV
    return ANY_ORIGIN in allowed_origins or origin in allowed_origins


def _is_rate(text: str) -> bool:
    is_digits = text.isascii() and text.isdecimal() and len(text) <= _RATE_CHARS_MAX
    return is_digits and int(text) > 0
