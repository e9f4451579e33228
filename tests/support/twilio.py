"""A Twilio account for tests: options, requests signed by the official library, contexts.

In: what a test cares about. Out: everything else by default.
"""

from typing import Any
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from app.providers.provider import InboundRequest, Provider, ProviderContext
from app.providers.sms_twilio.options import TwilioOptions
from app.providers.sms_twilio.spec import build_twilio

ACCOUNT = "AC" + "5e" * 16
TOKEN = "a-token-for-tests-only"
SERVICE = "MG" + "7b" * 16
SID = "SM" + "0c" * 16
OURS = "+15005550006"
THEIRS = "+14155550123"
BASE = "https://hooks.example.org"
FORM = "application/x-www-form-urlencoded"

INCOMING = {
    "ToCountry": "US",
    "MessageSid": SID,
    "SmsSid": SID,
    "AccountSid": ACCOUNT,
    "From": THEIRS,
    "To": OURS,
    "Body": "Où est ma commande?  ",
    "NumMedia": "0",
    "NumSegments": "1",
    "FromCity": "",
    "ApiVersion": "2010-04-01",
}
STATUS = {
    "MessageSid": SID,
    "MessageStatus": "sent",
    "AccountSid": ACCOUNT,
    "From": OURS,
    "To": THEIRS,
}


class MultiFields(dict[str, Any]):
    """A form in which fields repeat, in the shape that the official library reads."""

    def getlist(self, name: str) -> list[str]:
        """Give all values of a field."""
        value = self[name]
        return value if isinstance(value, list) else [value]


def options(**more: Any) -> TwilioOptions:
    """Options that can send."""
    given = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from_number": OURS, **more}
    return TwilioOptions.model_validate({k: v for k, v in given.items() if v is not None})


def a_provider(http: MemoryHttp | None = None, *, env: str = "dev", **more: Any) -> Provider:
    """The provider on a scripted HTTP client."""
    context_fields = {
        name: more.pop(name) for name in ("public_base_url", "endpoints") if name in more
    }
    context = ProviderContext(
        env=env, http=http or MemoryHttp(), clock=VirtualClock(), **context_fields
    )
    return build_twilio(options(**more), context)


def a_request(
    fields: Any = None,
    *,
    route: str = "incoming",
    token: str = TOKEN,
    query: str = "",
    **headers: str,
) -> InboundRequest:
    """A form as Twilio posts it, signed by Twilio's own library."""
    fields = (INCOMING if route == "incoming" else STATUS) if fields is None else fields
    url = f"{BASE}/events/sms/twilio/demo/{route}{query}"
    signature = RequestValidator(token).compute_signature(url, MultiFields(fields))
    return InboundRequest(
        headers={
            "content-type": f"{FORM}; charset=UTF-8",
            "x-twilio-signature": signature,
            "user-agent": "TwilioProxy/1.1",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        body=urlencode(fields, doseq=True).encode(),
        tenant="demo",
        route=route,
        public_url=lambda: url,
    )
