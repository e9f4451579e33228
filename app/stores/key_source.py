"""Where the sealing keys come from: the settings, or in development a file of the data folder.

In: the checked `[secrets]` section, the env, the data folder. Out: a `Keyring`. Refuses
(SettingsError) to make a key up in `prod`, and a key file that others may read.

The keys are looked for when they are needed: a bundle without secrets needs none, and development's
file is read anew each time, so that a key added to it is taken up.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.errors import SettingsError
from app.settings.sealing_key import ADVICE, KEY_BYTES, KEYS_TEXT_CHARS_MAX, format_key
from app.settings.secrets import SecretsSection
from app.stores.sealing import Keyring

KEY_FILE: Final = "secret.key"
PROD: Final = "prod"

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Not blocking: a pipe of that name must not hang the program."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class KeySource:
    """Gives the sealing keys of one env."""

    section: SecretsSection
    env: str
    data_dir: Path

    @property
    def path(self) -> Path:
        """The file that development keeps its key in."""
        return self.data_dir / KEY_FILE

    def for_sealing(self) -> Keyring:
        """Give the keys, making one in development where there is none."""
        return self._given() or self._stored() or self._make()

    def for_opening(self) -> Keyring:
        """Give the keys. Making one now would open nothing, so their absence is an error."""
        keys = self._given() or self._stored()
        if keys is None:
            raise self._refusal(
                "does not exist; set GREENTIC_SECRET_KEY to the key that the secrets were stored"
                " with"
            )
        return keys

    def _given(self) -> Keyring | None:
        given = self.section.key
        if given is not None:
            return Keyring.parse(given.get_secret_value())
        if self.env == PROD:
            problem = f"env {PROD!r} needs GREENTIC_SECRET_KEY (or GREENTIC_SECRET_KEY_FILE)"
            raise SettingsError([f"secrets.key: {problem}; {ADVICE}"])
        return None

    def _stored(self) -> Keyring | None:
        try:
            descriptor = os.open(self.path, _READ)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refusal(f"cannot be read: {error.strerror}") from None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise self._refusal("is no regular file")
            if status.st_mode & _OTHERS:
                raise self._refusal(f"may be read by others: chmod 600 {self.path}")
            text = file.read(KEYS_TEXT_CHARS_MAX + 1)
        try:
            return Keyring.parse(text.decode("ascii"))
        except ValueError as error:
            raise self._refusal(str(error)) from None

    def _make(self) -> Keyring:
        """Make the key file whole or not at all, and never over another: the loser reads it."""
        fresh = self.data_dir / f".{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="ascii") as file:
                file.write(format_key(secrets.token_bytes(KEY_BYTES)) + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, self.path)
            except FileExistsError:
                pass  # somebody else was faster
            finally:
                fresh.unlink()
        except OSError as error:
            raise self._refusal(f"cannot be made: {error.strerror}") from None
        made = self._stored()
        if made is None:
            raise self._refusal("vanished while it was made")
        return made

    def _refusal(self, what: str) -> SettingsError:
        return SettingsError([f"secrets.key: the key file {self.path} {what}"])
