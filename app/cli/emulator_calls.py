"""How commands reach the emulators of a running program: by its data folder's ``emulators.json``.

In: a data folder, a call. Out: the decoded answer. Refuses, with CommandError and a hint, a folder
without that file and what the emulators refuse; emulators that do not answer are UnavailableError.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from actors.errors import UnavailableError
from app.cli.connecting import DATA_DIR_DEFAULT
from app.emulators.access import FILE_NAME, EmulatorAccess, read_access
from app.errors import CommandError, NotFoundError

ANSWER_SECONDS: Final = 30.0
_ERRORS_FROM: Final = 400
_NOT_FOUND: Final = 404
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class EmulatorCalls:
    """Calls the control routes."""

    access: EmulatorAccess

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Read something."""
        return self._call("GET", path, params=dict(query or {}))

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Have something done."""
        return self._call("POST", path, json=dict(document))

    def _call(self, method: str, path: str, **content: Any) -> Any:
        headers = {"authorization": f"Bearer {self.access.token}"}
        url = f"{self.access.url}{path}"
        try:
            with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
                answer = client.request(method, url, headers=headers, **content)
            document = answer.json()
        except httpx.HTTPError as error:
            text = f"the emulators at {self.access.url} do not answer ({type(error).__name__})"
            raise UnavailableError(text) from error
        except ValueError:
            raise UnavailableError(f"no emulators run at {self.access.url}") from None
        if answer.status_code >= _ERRORS_FROM:
            raise _refusal(answer.status_code, document)
        return document


def emulator_calls(
    bundle: Path, data: Path | None, environment: Mapping[str, str]
) -> EmulatorCalls:
    """Find the emulators: by an option, ``GREENTIC_DATA_DIR``, then the bundle's own folder."""
    named = environment.get("GREENTIC_DATA_DIR")
    folder = data or (Path(named) if named else bundle / DATA_DIR_DEFAULT)
    access = read_access(folder)
    if access is None:
        raise CommandError(
            f"there is no {FILE_NAME} in {folder}",
            hint="emulators run with 'greentic-events start --dev BUNDLE'; name that BUNDLE",
        )
    return EmulatorCalls(access)


def _refusal(status: int, document: Any) -> Exception:
    said = document.get("error") if isinstance(document, dict) else None
    text = said if isinstance(said, str) else f"the emulators answered {status}"
    if status == _NOT_FOUND:
        return NotFoundError(text)
    if status == _UNAUTHORIZED:
        return UnavailableError(f"another program runs where the emulators were: {text}")
    return CommandError(text)
