"""TwiML: what Twilio is told in answer to an incoming message.

In: a flow's answer, or none. Out: an XML document Twilio can read. Text becomes ``<Message>``
elements, escaped; a flow that answers in XML itself is passed on. Refuses nothing: a text that is
too long is cut where Twilio would refuse all of it, and what cannot stand in XML is left out.

Source: twilio.com/docs/messaging/twiml; errors 12300 (content type), 11750 (64 kB), 21617 (1600
characters).
"""

import re
from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec

from actors.outcomes import Answer
from app.providers.provider import HttpAnswer
from app.providers.sms_twilio.arguments import BODY_CHARS_MAX, MEDIA_MAX

DOCUMENT_BYTES_MAX: Final = 64 * 1024
MEDIA_TYPE: Final = "text/xml; charset=utf-8"

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Everything that XML 1.0 has no place for (its production 2, Char)."""
_ERROR_FROM: Final = 400
_OK: Final = 200


def empty_response() -> HttpAnswer:
    """Say nothing."""
    return _answer("")


def render_reply(reply: Answer | None) -> HttpAnswer | None:
    """Put a flow's answer in TwiML; None where it is an error, which Twilio hears as it is."""
    if reply is None or reply.body is None:
        return empty_response()
    if reply.status >= _ERROR_FROM:
        return None
    if isinstance(reply.body, str) and _is_xml(reply):
        return _passed_on(reply.body)
    if isinstance(reply.body, dict):
        return _answer(_message_of_object(reply.body))
    return _answer(_message(_as_text(reply.body), ()))


def _is_xml(reply: Answer) -> bool:
    for name, value in reply.headers.items():
        if name.lower() == "content-type":
            media_type = str(value).partition(";")[0].strip().lower()
            return media_type in ("text/xml", "application/xml")
    return False


def _passed_on(text: str) -> HttpAnswer:
    body = _clean(text).encode()
    if len(body) > DOCUMENT_BYTES_MAX:
        return empty_response()
    return HttpAnswer(_OK, MEDIA_TYPE, body)


def _message_of_object(document: dict[str, Any]) -> str:
    """Read ``{body, media_url}`` like the arguments of `send`; any other object is sent as JSON."""
    body, media = document.get("body"), document.get("media_url", [])
    urls = [media] if isinstance(media, str) else media
    is_ours = set(document) <= {"body", "media_url"} and isinstance(urls, list)
    if not is_ours or not all(isinstance(url, str) for url in urls):
        return _message(_as_text(document), ())
    return _message("" if body is None else _as_text(body), tuple(urls))


def _message(text: str, media: tuple[str, ...]) -> str:
    text = _clean(text)
    if len(text) > BODY_CHARS_MAX:
        text = text[: BODY_CHARS_MAX - 1] + "…"
    if not text.strip() and not media:
        return ""
    if not media:
        return f"<Message>{escape(text)}</Message>"
    urls = "".join(f"<Media>{escape(_clean(url))}</Media>" for url in media[:MEDIA_MAX])
    body = f"<Body>{escape(text)}</Body>" if text else ""
    return f"<Message>{body}{urls}</Message>"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ""  # no JSON value: nothing that could be said


def _clean(text: str) -> str:
    return _NO_XML.sub("", text)


def _answer(content: str) -> HttpAnswer:
    document = f"{_DECLARATION}<Response>{content}</Response>".encode()
    if len(document) > DOCUMENT_BYTES_MAX:  # of media URLs: the text alone cannot
        return empty_response()
    return HttpAnswer(_OK, MEDIA_TYPE, document)
