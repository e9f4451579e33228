"""``greentic-events signature …``: check the signature of a request at hand, or make one.

In: a scheme, secrets, a body and the headers it came with. Out: the verdict, which secret matched,
and where none did, why not; or the headers to send. A signature that does not hold ends with 1.
Nothing is sent or received, and no secret is shown.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.exit_codes import FAILED
from app.cli.output import print_json, say
from app.errors import CommandError
from app.providers.provider import InboundRequest
from app.providers.signatures.catalog import ALGORITHMS, HEADER_NEEDED, build_scheme
from app.providers.signatures.diagnosis import Refused, diagnose
from app.providers.signatures.scheme import Scheme, Verdict
from app.system import SystemClock

BODY_BYTES_MAX: Final = 32 * 1024 * 1024
"""More than any provider's largest request."""
NOW_MAX: Final = 1e11
"""The year 5138: what is more was milliseconds."""
HEADER_DEFAULT: Final = "x-webhook-signature"

SchemeOption = Annotated[
    str, typer.Option("--scheme", help=f"How it is signed: {', '.join(ALGORITHMS)}.")
]
SecretOption = Annotated[
    list[str] | None, typer.Option("--secret", help="A secret or key; repeatable.")
]
SecretEnvOption = Annotated[
    list[str] | None,
    typer.Option(
        "--secret-env",
        help="An environment variable with a secret, which so stays out of the shell's history.",
    ),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option("--header", help="A header of the request, NAME:VALUE; repeatable."),
]
SignatureHeaderOption = Annotated[
    str | None,
    typer.Option(
        "--signature-header",
        help="The header with the signature, where the scheme leaves it open; by default the"
        f" only --header, else {HEADER_DEFAULT}.",
    ),
]
UrlOption = Annotated[
    str, typer.Option("--url", help="The URL as the sender knows it (twilio signs it).")
]
BodyOption = Annotated[
    Path, typer.Option("--body", help="A file with the raw body; - reads standard input.")
]
NowOption = Annotated[
    float | None, typer.Option("--now", help="The time, in seconds since 1970; else the clock's.")
]
ToleranceOption = Annotated[
    int | None,
    typer.Option("--tolerance", help="Seconds that a timestamp may be off; else the scheme's own."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def signature_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Check signatures of requests, and make them.", no_args_is_help=True)
    app.command("check")(check)
    app.command("sign")(sign)
    return app


def check(
    scheme: SchemeOption,
    body: BodyOption,
    *,
    secret: SecretOption = None,
    secret_env: SecretEnvOption = None,
    header: HeaderOption = None,
    signature_header: SignatureHeaderOption = None,
    url: UrlOption = "",
    now: NowOption = None,
    tolerance: ToleranceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether a request's signature holds, by which secret, and if not, why not.

    The body must be the very bytes that arrived. Where nothing fits, the usual mistakes are tried:
    a body written anew, a secret with a line feed or without its prefix, hex for base64, another
    URL.
    """
    secrets = _secrets(secret, secret_env)
    given = _Given(scheme, secrets, _headers(header), signature_header, is_check=True)
    request = InboundRequest(given.headers, _read(body), public_url=partial(str, url))
    ready = given.build(tolerance)
    now_seconds = _now(now)
    verdict = ready.judge(request, now_seconds=now_seconds)
    hints: list[str] = []
    if not verdict.is_accepted:
        hints = diagnose(Refused(ready, secrets, request, verdict, now_seconds))
    if as_json:
        print_json(_verdict_document(ready, verdict, hints))
    else:
        _show_verdict(ready, verdict, hints, len(secrets))
    if not verdict.is_accepted:
        raise typer.Exit(FAILED)


def sign(
    scheme: SchemeOption,
    body: BodyOption,
    *,
    secret: SecretOption = None,
    secret_env: SecretEnvOption = None,
    header: HeaderOption = None,
    signature_header: SignatureHeaderOption = None,
    url: UrlOption = "",
    now: NowOption = None,
    tolerance: ToleranceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the headers that the first secret puts on a request, one a line, as curl takes them.

    Public keys only check: signing takes whsk_ for standard-webhooks' v1a and a private key in PEM
    for sendgrid.
    """
    given = _Given(scheme, _secrets(secret, secret_env), _headers(header), signature_header)
    request = InboundRequest(given.headers, _read(body), public_url=partial(str, url))
    ready = given.build(tolerance)
    try:
        headers = ready.sign(request, now_seconds=_now(now))
    except ValueError as error:
        raise CommandError(f"this cannot be signed: {error}") from None
    shown = {name: _as_typed(value) for name, value in headers.items()}
    if as_json:
        print_json({"headers": shown})
        return
    for name, value in shown.items():
        say(f"{name}: {value}")


@dataclass(frozen=True, slots=True)
class _Given:
    """What the options say of the scheme."""

    algorithm: str
    secrets: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    signature_header: str | None = None
    is_check: bool = False

    def build(self, tolerance_seconds: int | None) -> Scheme:
        """Make the scheme; CommandError."""
        try:
            return build_scheme(
                self.algorithm,
                self.secrets,
                header=self._header(),
                tolerance_seconds=tolerance_seconds,
            )
        except ValueError as error:
            raise CommandError(f"{self.algorithm}: {error}") from None

    def _header(self) -> str | None:
        if self.signature_header is not None or self.algorithm not in HEADER_NEEDED:
            return self.signature_header
        # What is to be checked is there already; what is to be signed is not.
        others = [name for name in self.headers if name != "content-type"]
        return others[0] if len(others) == 1 and self.is_check else HEADER_DEFAULT


def _secrets(given: Sequence[str] | None, names: Sequence[str] | None) -> tuple[str, ...]:
    """Give the secrets, those of the environment last."""
    secrets = list(given or ())
    for name in names or ():
        value = os.environ.get(name)
        if value is None:
            raise CommandError(f"the environment variable {name} is not set")
        secrets.append(value)
    if not secrets:
        raise CommandError("there is no secret", hint="give --secret or --secret-env")
    return tuple(secrets)


def _headers(given: Sequence[str] | None) -> dict[str, str]:
    """Read headers as a server would: names lower-case, repeated ones joined."""
    headers: dict[str, str] = {}
    for line in given or ():
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise CommandError("a header is NAME:VALUE", hint="like --header 'X-Signature: abc'")
        arrived = value.strip().encode("utf-8", "surrogateescape").decode("latin-1")
        headers[name] = f"{headers[name]}, {arrived}" if name in headers else arrived
    return headers


def _as_typed(value: str) -> str:
    """Give a header's value as a person writes it: the inverse of how it arrives."""
    return value.encode("latin-1").decode("utf-8", "replace")


def _read(path: Path) -> bytes:
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(BODY_BYTES_MAX + 1)
        else:
            with path.open("rb") as stream:
                data = stream.read(BODY_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > BODY_BYTES_MAX:
        raise CommandError(f"{path} is larger than {BODY_BYTES_MAX} bytes")
    return data


def _now(given: float | None) -> float:
    if given is None:
        return SystemClock().now_ms() / 1000
    if not 0 <= given < NOW_MAX:
        raise CommandError("--now is a number of seconds since 1970")
    return given


def _verdict_document(scheme: Scheme, verdict: Verdict, hints: Sequence[str]) -> dict[str, Any]:
    return {
        "verdict": "good" if verdict.is_accepted else "bad",
        "scheme": scheme.name,
        "key": verdict.key,
        "signed_id": verdict.signed_id,
        "reason": verdict.reason or None,
        "detail": verdict.detail or None,
        "hints": list(hints),
    }


def _show_verdict(scheme: Scheme, verdict: Verdict, hints: Sequence[str], secrets: int) -> None:
    if verdict.key is not None:
        say(f"good: {scheme.name}, by secret {verdict.key + 1} of {secrets}", style="green")
        return
    say(f"bad: {verdict.detail} [{verdict.reason}]", style="red")
    for hint in hints:
        say(f"  {hint}")
