"""Keys that sign accounts and logins: an operator's, and one for each account derived from it.

In: the operator's seed, the one secret there is. Out: signed claims (JWT, as nats-server reads
them). Refuses with StoreError what is no operator's seed.

An account's key is derived from the operator's seed and the account's name, so that it is stored
nowhere and every process that has the seed comes to the same one.
"""

import base64
import json
import os
import time
from collections.abc import Mapping
from typing import Any, Final

import nkeys
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.accounts.login import SEED_BYTES
from app.errors import StoreError

_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_PURPOSE: Final = b"greentic-events account "


class Signer:
    """One key pair."""

    def __init__(self, seed: str) -> None:
        try:
            self._pair = nkeys.from_seed(bytearray(seed.strip().encode("ascii")))
            self.public_key = bytes(self._pair.public_key).decode("ascii")
        except (nkeys.NkeysError, ValueError, IndexError) as error:
            raise StoreError("this is no seed of a NATS key") from error

    def sign(self, subject: str, name: str, claims: Mapping[str, Any], *, exp: int | None) -> str:
        """Sign claims about a public key; ``exp`` is in seconds since the epoch, None is never."""
        document = {
            "jti": base64.b32encode(os.urandom(20)).decode("ascii"),
            "iat": int(time.time()),
            "iss": self.public_key,
            "sub": subject,
            "name": name,
            "nats": {**claims, "version": 2},
        }
        if exp is not None:
            document["exp"] = exp
        text = f"{_encoded(json.dumps(_HEADER).encode())}.{_encoded(json.dumps(document).encode())}"
        return f"{text}.{_encoded(bytes(self._pair.sign(text.encode())))}"


class Operator(Signer):
    """The key above all accounts."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        if not self.public_key.startswith("O"):
            raise StoreError("this is no seed of a NATS operator")
        self._root = bytes(nkeys.decode_seed(seed.strip().encode("ascii"))[1])

    def account(self, name: str) -> Signer:
        """Give the key of an account."""
        info = _PURPOSE + name.encode("ascii")
        raw = HKDF(SHA256(), SEED_BYTES, salt=None, info=info).derive(self._root)
        return Signer(_seed_text(raw, nkeys.PREFIX_BYTE_ACCOUNT))


def new_operator_seed() -> str:
    """Make an operator's seed of fresh chance."""
    return _seed_text(os.urandom(SEED_BYTES), nkeys.PREFIX_BYTE_OPERATOR)


def _seed_text(raw: bytes, kind: int) -> str:
    return bytes(nkeys.encode_seed(raw, kind)).decode("ascii")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
