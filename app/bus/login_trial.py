"""Trying a login: whether servers let its owner in.

In: servers and the seed of a NATS user, or the text of its credentials file. Out: yes or no.
Refuses nothing; a server that does not answer has not let anybody in.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import nats.errors
from nats.aio.client import Client, RawCredentials

from app.bus.servers import split_urls

TRIAL_SECONDS: Final = 2


async def takes_login(url: str, *, seed: str | None = None, credentials: str | None = None) -> bool:
    """Tell whether a server at ``url`` lets the owner of a seed, or of credentials, in."""
    login: Mapping[str, Any] = (
        {"nkeys_seed_str": seed}
        if credentials is None
        else {"user_credentials": RawCredentials(credentials)}
    )
    client = Client()
    try:
        await client.connect(
            [_without_login(part) for part in split_urls(url)],
            allow_reconnect=False,
            connect_timeout=TRIAL_SECONDS,
            error_cb=_ignore,
            **login,
        )
    except (OSError, TimeoutError, nats.errors.Error):
        return False
    else:
        return True
    finally:
        with suppress(OSError, nats.errors.Error):
            await client.close()
        if client._transport is not None:  # noqa: SLF001
            # A server that refuses leaves a socket that the library forgets.
            client._transport.close()  # type: ignore[no-untyped-call]  # noqa: SLF001


def _without_login(url: str) -> str:
    """Take user and password out of a url: the server would let those in instead."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


async def _ignore(_: Exception) -> None:
    """Take a refusal for the answer that it is."""
