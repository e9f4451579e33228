"""Secrets that can be told from everything else, and a search for them in each form."""

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

PLAIN = "canary-plain-7f3a9c21e4"
HARD = 'canary "hard"/+&=<7f3a9c22>%'
SHORT = "k7!Q9"
PEM = "-----BEGIN CANARY-----\ncanaryMIIEvQIBADANBgkq7f3a9c23\ncanarykiG9w0BAQ7f3a9c24\n"
PASSWORD = "canary-within-json-7f3a9c25"
ACCOUNT = json.dumps({"user": "canary-robot-7f3a9c26", "keys": [{"password": PASSWORD}]})
USER = "robots"
"""Whose name, and the colon behind it, put a password askew in base64."""
HOST = "canary-host-7f3a9c27"
MOUNTED = "canary-mounted-7f3a9c28"
VARIABLE = "canary-variable-7f3a9c29"

FLOW_SECRETS: Mapping[str, str] = {
    "PLAIN": PLAIN,
    "HARD": HARD,
    "SHORT": SHORT,
    "PEM": PEM,
    "ACCOUNT": ACCOUNT,
    "HOST": HOST,
}
"""What the tenant's own store holds."""

HOOK = "canary-hook-7f3a9c2a"
API_KEY = "SG.canary-sendgrid-7f3a9c2b"
AUTH_TOKEN = hashlib.sha256(b"canary-twilio").hexdigest()[:32]
PARSE_TOKEN = "canary-inbound-7f3a9c2c-canary"
MAIL_PASSWORD = "canary-mail-7f3a9c2d"

PROVIDER_SECRETS: Mapping[str, str] = {
    "events-webhook.secret_key": HOOK,
    "events-email-sendgrid.api_key": API_KEY,
    "events-email-sendgrid.inbound_parse.token": PARSE_TOKEN,
    "events-email-smtp.password": MAIL_PASSWORD,
    "events-sms-twilio.auth_token": AUTH_TOKEN,
}

_BESIDE = (*(line for line in PEM.splitlines()[1:]), PASSWORD, "canary-robot-7f3a9c26")
ALL = (*FLOW_SECRETS.values(), MOUNTED, VARIABLE, *PROVIDER_SECRETS.values(), *_BESIDE)


def forms_of(value: str) -> Iterator[bytes]:
    """Give how a value may be written, once and twice, and in base64 wherever it stands."""
    once = {value, *_escaped(value)}
    for text in {form for one in once for form in (one, *_escaped(one))}:
        yield text.encode()
    if len(value) < 8:
        return
    yield value.lower().encode()
    yield value.upper().encode()
    yield value.encode().hex().encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value.encode()).rstrip(b"=")
        core = encoded[-(-before * 8 // 6) : (before + len(value.encode())) * 8 // 6]
        yield core
        yield core.translate(bytes.maketrans(b"+/", b"-_"))


def _escaped(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]
    yield html.escape(text)
    yield quote(text, safe="")
    yield quote(text)
    yield quote_plus(text)


SOUGHT = {form: value for value in ALL for form in forms_of(value) if len(form) >= len(SHORT)}
SOUGHT[base64.b64encode(f"{USER}:{SHORT}".encode()).rstrip(b"=")] = SHORT
MARK = b"canary"
"""Most have it in them, so that a form nobody thought of is found as well."""


def leaks_in(data: bytes, *, place: str) -> list[str]:
    """Name each place where a secret can be read; empty is good."""
    found = [
        f"{place}: {value[:30]!r} in {_around(data, form)!r}"
        for form, value in SOUGHT.items()
        if form in data
    ]
    if not found and MARK in data.lower():
        found.append(f"{place}: {_around(data.lower(), MARK)!r}")
    return found[:5]


def _around(data: bytes, form: bytes) -> bytes:
    start = data.index(form)
    return data[max(0, start - 80) : start + len(form) + 40]
