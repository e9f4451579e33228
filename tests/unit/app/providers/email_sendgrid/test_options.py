"""SendGrid's options and its entry in the catalogue."""

from typing import Any

import pytest
from pydantic import ValidationError

from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from app.providers.email_sendgrid.options import SendGridOptions
from app.providers.email_sendgrid.spec import SENDGRID, build_sendgrid
from app.providers.provider import ProviderContext
from tests.support.mailing import ACCOUNT, API_KEY


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "api_key and from_email are missing"),
        ({"api_key": API_KEY}, "from_email is missing"),
        ({**ACCOUNT, "api_key": ""}, "is no API key"),
        ({**ACCOUNT, "api_key": "a\nb"}, "is no API key"),
        ({**ACCOUNT, "api_key": "a b"}, "there is a blank in it"),
        ({**ACCOUNT, "api_key": "é"}, "is no API key"),
        ({**ACCOUNT, "from_email": "Shop <shop@example.org>"}, "must be an address alone"),
        ({**ACCOUNT, "from_email": "shop"}, "is no e-mail address"),
        ({**ACCOUNT, "from_name": "a\nb"}, "holds a line break"),
        ({**ACCOUNT, "data_residency": "moon"}, "data_residency"),
        ({**ACCOUNT, "sandbox": "yes"}, "sandbox"),
        ({**ACCOUNT, "inbound_parse": {"tokn": "x"}}, "inbound_parse"),
        ({**ACCOUNT, "apikey": "x"}, "apikey"),
    ],
)
def test_wrong_option_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SendGridOptions.model_validate(options)
    text = str(caught.value)
    assert words in text
    assert API_KEY not in text


def test_disabled_provider_needs_no_account() -> None:
    options = SendGridOptions.model_validate({"enabled": False})
    context = ProviderContext("prod", MemoryHttp(), VirtualClock())
    assert build_sendgrid(options, context).outbound is None


def test_catalogue_entry_is_that_of_the_contract() -> None:
    assert SENDGRID.name == "events-email-sendgrid"
    assert [(route.name, route.path) for route in SENDGRID.routes] == [
        ("events", "/events/email/sendgrid/{tenant}/events"),
        ("inbound", "/events/email/sendgrid/{tenant}/inbound"),
    ]
    assert [action.name for action in SENDGRID.actions] == ["send", "send_template"]
    assert SENDGRID.actions[0].html_arguments == {"html"}
