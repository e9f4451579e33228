"""What SendGrid's v3/mail/send refuses, told as SendGrid tells it.

In: the document of a request. Out: what is wrong with it, field by field. Only what a client can
get wrong without an account is looked at: structure, addresses, limits, the order of contents.

Sources: the v3 Mail Send reference; PROTOCOLS, SendGrid.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

PERSONALIZATIONS_MAX: Final = 1000
RECIPIENTS_MAX: Final = 1000
CATEGORIES_MAX: Final = 10
PROBLEMS_MAX: Final = 20

_ADDRESS = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,255}")
_PLAIN: Final = "text/plain"
_HTML: Final = "text/html"
_LISTS: Final = ("to", "cc", "bcc")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    field: str | None
    message: str

    def as_document(self) -> dict[str, Any]:
        """Give it as SendGrid writes it."""
        return {"message": self.message, "field": self.field, "help": None}


def problems_of(mail: Mapping[str, Any]) -> list[Problem]:
    """Give what is wrong, the first few problems of a mail that is wrong all over."""
    found: list[Problem] = []
    for check in (_check_sender, _check_personalizations, _check_content, _check_rest):
        for problem in check(mail):
            found.append(problem)
            if len(found) >= PROBLEMS_MAX:
                return found
    return found


def addresses_of(mail: Mapping[str, Any]) -> list[str]:
    """Give all recipients of a mail without problems."""
    return [
        entry["email"]
        for personalization in mail["personalizations"]
        for name in _LISTS
        for entry in personalization.get(name) or ()
    ]


def is_sandboxed(mail: Mapping[str, Any]) -> bool:
    """Tell whether the mail is to be checked only."""
    settings = mail.get("mail_settings")
    sandbox = settings.get("sandbox_mode") if isinstance(settings, dict) else None
    return isinstance(sandbox, dict) and sandbox.get("enable") is True


def _check_sender(mail: Mapping[str, Any]) -> Iterator[Problem]:
    if not _is_address(mail.get("from")):
        yield Problem("from.email", "The from email is missing, or is no e-mail address")
    if mail.get("reply_to") is not None and not _is_address(mail["reply_to"]):
        yield Problem("reply_to.email", "The reply_to email is no e-mail address")


def _check_personalizations(mail: Mapping[str, Any]) -> Iterator[Problem]:
    given = mail.get("personalizations")
    if not isinstance(given, list) or not given:
        yield Problem("personalizations", "At least one personalization is required")
        return
    if len(given) > PERSONALIZATIONS_MAX:
        yield Problem("personalizations", f"At most {PERSONALIZATIONS_MAX} are allowed")
        return
    has_subject = _is_text(mail.get("subject")) or "template_id" in mail
    for number, each in enumerate(given):
        place = f"personalizations.{number}"
        if not isinstance(each, dict):
            yield Problem(place, "A personalization must be an object")
            continue
        yield from _check_recipients(place, each)
        if not has_subject and not _is_text(each.get("subject")):
            yield Problem("subject", "The subject is required, here or in each personalization")


def _check_recipients(place: str, personalization: Mapping[str, Any]) -> Iterator[Problem]:
    if not personalization.get("to"):
        yield Problem(f"{place}.to", "At least one recipient is required")
    seen: set[str] = set()
    for name in _LISTS:
        entries = personalization.get(name)
        if entries is not None and not isinstance(entries, list):
            yield Problem(f"{place}.{name}", "Recipients must be an array")
            continue
        for number, entry in enumerate(entries or ()):
            if (message := _recipient_problem(entry, seen)) is not None:
                yield Problem(f"{place}.{name}.{number}.email", message)
    if len(seen) > RECIPIENTS_MAX:
        yield Problem(place, f"At most {RECIPIENTS_MAX} recipients are allowed")


def _recipient_problem(entry: Any, seen: set[str]) -> str | None:
    if not _is_address(entry):
        return "Does not contain a valid address"
    email = entry["email"].lower()
    if email in seen:
        return "Each address must be unique among to, cc and bcc"
    seen.add(email)
    return None


def _check_content(mail: Mapping[str, Any]) -> Iterator[Problem]:
    content = mail.get("content")
    if content is None and _is_text(mail.get("template_id")):
        return
    if not isinstance(content, list) or not content:
        yield Problem("content", "At least one content, or a template_id, is required")
        return
    kinds = []
    for number, each in enumerate(content):
        if isinstance(each, dict) and _is_text(each.get("type")) and _is_text(each.get("value")):
            kinds.append(str(each["type"]))
        else:
            yield Problem(f"content.{number}", "A content needs a type and a value")
    ranks = [{_PLAIN: 0, _HTML: 1}.get(kind, 2) for kind in kinds]
    if ranks != sorted(ranks):
        yield Problem("content", f"{_PLAIN} must come first, then {_HTML}, then all others")


def _check_rest(mail: Mapping[str, Any]) -> Iterator[Problem]:
    attachments = mail.get("attachments", [])
    if not isinstance(attachments, list):
        yield Problem("attachments", "Attachments must be an array")
        attachments = []
    for number, each in enumerate(attachments):
        place = f"attachments.{number}"
        if not isinstance(each, dict) or not _is_text(each.get("filename")):
            yield Problem(f"{place}.filename", "The filename is required")
        elif not _is_base64(each.get("content")):
            yield Problem(f"{place}.content", "The content must be base64, and not empty")
    categories = mail.get("categories", [])
    if not isinstance(categories, list) or len(categories) > CATEGORIES_MAX:
        yield Problem("categories", f"At most {CATEGORIES_MAX} categories, as an array")


def _is_address(value: object) -> bool:
    email = value.get("email") if isinstance(value, dict) else None
    return isinstance(email, str) and _ADDRESS.fullmatch(email) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_base64(value: object) -> bool:
    if not isinstance(value, str) or not value:
        return False
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
