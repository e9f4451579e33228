"""The signature schemes there are, by the name that bundles give them.

In: a name, secrets, a header's name, a tolerance. Out: a `Scheme`. Refuses, with ValueError and
never with a secret in its text, an unknown name, a secret that is empty or of the wrong form, a
header's name where the scheme fixes it, and none where it needs one. A new scheme is a file here
and a line in this catalogue.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.providers.signatures import (
    body_hmac,
    sendgrid,
    shared_secret,
    slack,
    standard_webhooks,
    stripe,
    twilio,
)
from app.providers.signatures.scheme import TOLERANCE_SECONDS, Scheme
from app.providers.signatures.secrets_given import encode_secrets

TOLERANCE_SECONDS_MAX: Final = 7 * 24 * 3600
SECRETS_MAX: Final = 16

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a scheme is built of, its parts checked as far as they are alike for all."""

    algorithm: str
    secrets: tuple[str, ...] = field(repr=False)
    header: str | None = None
    """Lower-case."""
    tolerance_seconds: int | None = None

    @property
    def tolerance(self) -> int:
        """Give the tolerance asked for, or the usual one."""
        return TOLERANCE_SECONDS if self.tolerance_seconds is None else self.tolerance_seconds

    def encoded(self) -> tuple[bytes, ...]:
        """Give the secrets as they are, in UTF-8."""
        return encode_secrets(self.secrets)

    def free_header(self) -> str:
        """Give the header's name, which must be there."""
        if self.header is None:
            raise ValueError(f"{self.algorithm} needs the name of the header with the signature")
        return self.header

    def fixed_header(self, *names: str) -> None:
        """Refuse a header's name other than the scheme's own."""
        if self.header is not None and self.header not in names:
            raise ValueError(f"{self.algorithm} has its signature in {names[0]} always")


def build_scheme(
    algorithm: str,
    secrets: Sequence[str],
    *,
    header: str | None = None,
    tolerance_seconds: int | None = None,
) -> Scheme:
    """Make a scheme of its configuration.

    ``tolerance_seconds`` None is the scheme's own: 300, both ways, but for ``sendgrid``. ValueError
    tells what is wrong.
    """
    builder = _BUILDERS.get(algorithm)
    if builder is None:
        raise ValueError(f"there is no such algorithm; there are {', '.join(ALGORITHMS)}")
    if not 1 <= len(secrets) <= SECRETS_MAX:
        raise ValueError(f"a signature has 1 to {SECRETS_MAX} secrets, not {len(secrets)}")
    name = None if header is None else header.lower()
    if name is not None and not _HEADER_NAME.fullmatch(name):
        raise ValueError("header is no header's name")
    if tolerance_seconds is not None and not 1 <= tolerance_seconds <= TOLERANCE_SECONDS_MAX:
        raise ValueError(f"a tolerance is 1 to {TOLERANCE_SECONDS_MAX} seconds")
    return builder(Wanted(algorithm, tuple(secrets), name, tolerance_seconds))


def _body_hmac(wanted: Wanted) -> Scheme:
    return body_hmac.BodyHmac(
        wanted.algorithm, wanted.free_header(), wanted.encoded(), hash_name=wanted.algorithm
    )


def _github(wanted: Wanted) -> Scheme:
    wanted.fixed_header(body_hmac.GITHUB_HEADER)
    return body_hmac.github(wanted.encoded())


def _shopify(wanted: Wanted) -> Scheme:
    wanted.fixed_header(body_hmac.SHOPIFY_HEADER)
    return body_hmac.shopify(wanted.encoded())


def _stripe(wanted: Wanted) -> Scheme:
    wanted.fixed_header(stripe.HEADER)
    return stripe.StripeScheme(wanted.encoded(), wanted.tolerance)


def _slack(wanted: Wanted) -> Scheme:
    wanted.fixed_header(slack.HEADER)
    return slack.SlackScheme(wanted.encoded(), wanted.tolerance)


def _standard_webhooks(wanted: Wanted) -> Scheme:
    wanted.fixed_header(*standard_webhooks.SIGNATURE_HEADERS)
    keys = tuple(standard_webhooks.parse_key(secret) for secret in wanted.secrets)
    return standard_webhooks.StandardWebhooksScheme(keys, wanted.tolerance)


def _token(wanted: Wanted) -> Scheme:
    keys = tuple(shared_secret.check_token(key) for key in wanted.encoded())
    return shared_secret.TokenScheme(keys, wanted.header or shared_secret.AUTHORIZATION)


def _basic(wanted: Wanted) -> Scheme:
    keys = tuple(shared_secret.check_user_and_password(key) for key in wanted.encoded())
    return shared_secret.BasicScheme(keys, wanted.header or shared_secret.AUTHORIZATION)


def _twilio(wanted: Wanted) -> Scheme:
    wanted.fixed_header(twilio.HEADER)
    return twilio.TwilioScheme(wanted.encoded())


def _sendgrid(wanted: Wanted) -> Scheme:
    wanted.fixed_header(sendgrid.HEADER)
    keys = tuple(sendgrid.parse_key(secret) for secret in wanted.secrets)
    if wanted.tolerance_seconds is None:
        return sendgrid.SendgridScheme(keys)
    return sendgrid.SendgridScheme(keys, wanted.tolerance, wanted.tolerance)


_BUILDERS: Final[Mapping[str, Callable[[Wanted], Scheme]]] = {
    "sha1": _body_hmac,
    "sha256": _body_hmac,
    "sha512": _body_hmac,
    "github": _github,
    "shopify": _shopify,
    "stripe": _stripe,
    "slack": _slack,
    "standard-webhooks": _standard_webhooks,
    "token": _token,
    "basic": _basic,
    "twilio": _twilio,
    "sendgrid": _sendgrid,
}

ALGORITHMS: Final = tuple(_BUILDERS)

HEADER_NEEDED: Final = ("sha1", "sha256", "sha512")
"""The algorithms for which the bundle names the header."""
