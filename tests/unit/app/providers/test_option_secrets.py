"""A service that repeats a provider's own credentials gives nothing away."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from actors.errors import PermanentError
from actors.ports import ActionRequest
from app.providers.actions import ActionDesk
from app.providers.option_secrets import used_by
from app.providers.provider import ActionCall, Provider
from app.providers.sms_twilio.options import TwilioOptions

NAME = "events-sms-twilio"
TOKEN = "canary-7f3a-9c-token"
OPTIONS = TwilioOptions(
    account_sid="AC" + "0" * 32, auth_token=SecretStr(TOKEN), from_number="+15005550006"
)
SAID = f"535 bad login {base64.b64encode(b'user:' + TOKEN.encode()).decode()} ({TOKEN})"


class Repeating:
    """An outbound half that says all it knows."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails

    async def perform(self, call: ActionCall) -> Mapping[str, Any]:
        assert call.action == "send"
        if self.fails:
            raise PermanentError(SAID, reason="sms.refused")
        return {"said": [SAID], "sid": "SM1"}

    async def close(self) -> None:
        """Nothing is open."""


def desk(*, fails: bool) -> ActionDesk:
    provider = Provider(NAME, outbound=Repeating(fails=fails))
    return ActionDesk(lambda _tenant, _name: provider, lambda _: {NAME: OPTIONS})


def request() -> ActionRequest:
    return ActionRequest("demo", NAME, "send", {"to": "+15005550009", "body": "b"}, "key")


async def test_receipt_and_error_show_no_credentials() -> None:
    receipt = await desk(fails=False).perform(request())
    assert receipt == {"said": ["535 bad login dXNlc[secret] ([secret])"], "sid": "SM1"}
    with pytest.raises(PermanentError) as caught:
        await desk(fails=True).perform(request())
    assert str(caught.value) == "535 bad login dXNlc[secret] ([secret])"
    assert caught.value.reason == "sms.refused"
    assert caught.value.__cause__ is None


class Inner(BaseModel):
    one: SecretStr
    many: list[SecretStr]


class Outer(BaseModel):
    plain: str = "plain-value"
    inner: Inner
    by_name: dict[str, tuple[Inner, ...]]


def test_secrets_are_found_however_deep_they_stand() -> None:
    inner = Inner(one=SecretStr("one"), many=[SecretStr("two"), SecretStr("three")])
    options = Outer(inner=inner, by_name={"a": (inner.model_copy(update={"many": []}),)})
    assert list(used_by(options).values.values()) == ["one", "two", "three", "one"]
    assert used_by(options) is used_by(options)
    assert used_by(None).values == {}
    assert "three" not in repr(used_by(options))
