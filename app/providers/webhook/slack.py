"""Slack's challenge: it asks an endpoint to show that it reads what Slack signs.

In: the document of a request that a ``slack`` signature guards. Out: the answer, or None where it
is no challenge. Refuses a challenge that is none. Source: api.slack.com, "url_verification event".
"""

from typing import Any, Final

import msgspec

from actors.errors import InvalidEventError
from app.providers.media import JSON
from app.providers.provider import HttpAnswer

CHALLENGE_CHARS_MAX: Final = 4096
_OK: Final = 200
_KIND: Final = "url_verification"


def answer_challenge(payload: Any) -> HttpAnswer | None:
    """Give a challenge back as Slack wants it, as JSON."""
    if not isinstance(payload, dict) or payload.get("type") != _KIND:
        return None
    challenge = payload.get("challenge")
    if not isinstance(challenge, str) or not 0 < len(challenge) <= CHALLENGE_CHARS_MAX:
        raise InvalidEventError(
            "challenge", f"must be a string of 1 to {CHALLENGE_CHARS_MAX} characters"
        )
    return HttpAnswer(_OK, JSON, msgspec.json.encode({"challenge": challenge}))
