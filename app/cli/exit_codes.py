"""Error to exit code: one table, so that scripts can tell what happened.

In: an exception. Out: the exit code of the nearest class above it in the table. An error that the
table does not know is a defect of ours and says so with 70.
"""

from collections.abc import Mapping
from typing import Final

from actors import errors as core
from app import errors as outer
from grammar import GrammarError

OK: Final = 0
FAILED: Final = 1
"""The examined thing is wrong: a bundle, a flow, a script, an event, a run."""
USAGE: Final = 2
"""The command line itself is wrong."""
SETTINGS: Final = 3
"""The configuration is wrong."""
UNAVAILABLE: Final = 4
"""NATS or the server does not answer: try again later."""
REFUSED: Final = 5
"""It answered, and refused."""
INTERNAL: Final = 70
"""A defect of this program (EX_SOFTWARE of sysexits)."""
INTERRUPTED: Final = 130
"""Stopped with Ctrl-C, as shells report it."""

EXIT_CODES: Final[Mapping[type[BaseException], int]] = {
    outer.SettingsError: SETTINGS,
    outer.IngressError: REFUSED,
    outer.BundleError: FAILED,
    outer.CommandError: FAILED,
    outer.BusError: REFUSED,
    outer.StoreError: REFUSED,
    outer.AppError: FAILED,
    core.ActorStoppedError: UNAVAILABLE,
    core.MailboxFullError: UNAVAILABLE,
    core.AskTimeoutError: UNAVAILABLE,
    core.TransientError: UNAVAILABLE,
    core.TenantError: REFUSED,
    core.ActorsError: FAILED,
    GrammarError: FAILED,
    KeyboardInterrupt: INTERRUPTED,
}


def exit_code_of(error: BaseException) -> int:
    """Look an error up; the nearest class above it decides."""
    for above in type(error).__mro__:
        if above in EXIT_CODES:
            return EXIT_CODES[above]
    return INTERNAL
