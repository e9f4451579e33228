"""SendGrid's Inbound Parse: a mail that somebody sent to one of our addresses.

In: a verified form of up to 30 MB. Out: one event ``email.received``, and blobs for attachments and
for texts too long. Refuses forms that cannot be read; what a stranger wrote into a readable form is
never refused: SendGrid would drop the mail, or post it again for days. Odd parts are told in the
payload's ``problems``.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.ports import NormalizedEvent
from app.errors import BadRequestError
from app.providers.email_sendgrid.charset import CHARSET_CHARS_MAX, decode_text
from app.providers.email_sendgrid.events import RECEIVED
from app.providers.email_sendgrid.form import FormField, clean_filename, parse_form
from app.providers.email_sendgrid.metadata import DELIVERY_ID_CHARS_MAX, SOURCE, is_short_ascii
from app.providers.email_sendgrid.mime import MimePart, parse_headers, parse_mail
from app.providers.email_sendgrid.received import ReceivedMail, build_payload
from app.providers.email_sendgrid.shortening import LINE_BYTES_MAX, json_bytes
from app.providers.provider import Inbound, InboundRequest

INBOUND_BODY_BYTES_MAX: Final = 30 * 1024 * 1024
"""SPEC 13; SendGrid takes mails of up to 30 MB."""
JSON_FIELD_BYTES_MAX: Final = 256 * 1024

_TEXTS: Final = (
    "from",
    "to",
    "cc",
    "subject",
    "text",
    "html",
    "dkim",
    "SPF",
    "sender_ip",
    "spam_score",
    "spam_report",
)
_RAW: Final = "email"
_FROM_HEADERS: Final = ("from", "to", "cc", "subject")
_ENVELOPE_DIGEST_CHARS: Final = 16


def receive_mail(request: InboundRequest, metadata: Mapping[str, Any]) -> Inbound:
    """Make the event of a post and the blobs to be stored before it."""
    fields = parse_form(request.headers.get("content-type", ""), request.body)
    mail = _read_mail(fields)
    payload, blobs = build_payload(mail, request.tenant)
    delivery_id = _delivery_id(mail)
    event = NormalizedEvent(
        event_type=RECEIVED,
        source=SOURCE,
        payload=payload,
        metadata=dict(metadata)
        if delivery_id is None
        else {**metadata, "delivery_id": delivery_id},
        delivery_id=delivery_id,
    )
    return Inbound(events=(event,), blobs=blobs)


def _read_mail(fields: Sequence[FormField]) -> ReceivedMail:
    by_name: dict[str, FormField] = {}
    for item in fields:
        by_name.setdefault(item.name, item)
    if "from" not in by_name and _RAW not in by_name:
        raise BadRequestError("the form is no mail: it has neither 'from' nor 'email'")
    problems: list[str] = []
    texts = _texts(by_name, problems)
    envelope = _envelope(by_name.get("envelope"), problems)
    raw = by_name.get(_RAW)
    if raw is not None:
        return _read_raw(raw.content, texts, envelope, problems)
    block = by_name.get("headers")
    headers = () if block is None else parse_headers(block.content.decode("utf-8", "replace"))
    attachments = _attachments(fields, by_name)
    return ReceivedMail(texts, headers, envelope, attachments, problems)


def _read_raw(
    content: bytes,
    texts: dict[str, str],
    envelope: dict[str, Any] | None,
    problems: list[str],
) -> ReceivedMail:
    parsed = parse_mail(content)
    if not parsed.is_exact:
        problems.append("email: a charset is unknown or wrong, or the mail has too many parts")
    headers = dict(reversed(parsed.headers))
    for name in _FROM_HEADERS:
        if name in headers:
            texts.setdefault(name, headers[name])
    if parsed.text is not None:
        texts["text"] = parsed.text
    if parsed.html is not None:
        texts["html"] = parsed.html
    return ReceivedMail(texts, parsed.headers, envelope, parsed.attachments, problems, content)


def _texts(by_name: Mapping[str, FormField], problems: list[str]) -> dict[str, str]:
    """Decode the text fields, each in the charset that `charsets` names for it."""
    charsets = _json_object(by_name.get("charsets"), problems)
    texts: dict[str, str] = {}
    for name in _TEXTS:
        item = by_name.get(name)
        if item is None:
            continue
        charset = charsets.get(name)
        charset = charset if isinstance(charset, str) else ""
        texts[name], is_exact = decode_text(item.content, charset)
        if not is_exact:
            named = f"{charset[:CHARSET_CHARS_MAX]!a}" if charset else "UTF-8"
            problems.append(f"{name}: the text is not in the charset {named}, or we have no such")
    return texts


def _envelope(item: FormField | None, problems: list[str]) -> dict[str, Any] | None:
    """Give who sent the mail and to whom, as the servers said; None where it is not told."""
    if item is None:
        return None
    document = _json_object(item, problems)
    sender, recipients = document.get("from"), document.get("to")
    if not isinstance(recipients, list) or not isinstance(sender, str):
        return None
    envelope = {"from": sender, "to": [to for to in recipients if isinstance(to, str)]}
    if json_bytes(envelope) > LINE_BYTES_MAX:
        problems.append("envelope: is too long")
        return None
    return envelope


def _attachments(fields: Sequence[FormField], by_name: Mapping[str, FormField]) -> list[MimePart]:
    """Collect the files, with what `attachment-info` and `content-ids` say of them."""
    infos = _json_object(by_name.get("attachment-info"), [])
    content_ids = _json_object(by_name.get("content-ids"), [])
    names = {name: cid for cid, name in content_ids.items() if isinstance(name, str)}
    return [
        _attachment(item, infos.get(item.name), names.get(item.name))
        for item in fields
        if item.filename is not None
    ]


def _attachment(item: FormField, info: Any, content_id: str | None) -> MimePart:
    said = {key: value for key, value in info.items() if isinstance(value, str)} if info else {}
    filename = item.filename or clean_filename(said.get("filename", said.get("name", "")))
    return MimePart(
        media_type=said.get("type") or item.media_type,
        content=item.content,
        filename=filename,
        content_id=said.get("content-id") or content_id,
    )


def _json_object(item: FormField | None, problems: list[str]) -> dict[str, Any]:
    """Read a field that is a JSON object; one that is none is as good as absent."""
    if item is None:
        return {}
    if len(item.content) <= JSON_FIELD_BYTES_MAX:
        try:
            document = msgspec.json.decode(item.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
        if isinstance(document, dict):
            return document
    problems.append(f"{item.name}: is no JSON object")
    return {}


def _delivery_id(mail: ReceivedMail) -> str | None:
    """Name the delivery by the mail's own id and its envelope.

    One mail to two of our addresses may come in two posts with one id, and both are wanted.
    """
    message_id = (mail.header("message-id") or "").strip()
    envelope = msgspec.json.encode(mail.envelope)
    digest = hashlib.sha256(envelope).hexdigest()[:_ENVELOPE_DIGEST_CHARS]
    delivery_id = f"{message_id}/{digest}"
    fits = message_id and is_short_ascii(delivery_id, DELIVERY_ID_CHARS_MAX)
    return delivery_id if fits else None
