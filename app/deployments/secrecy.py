"""No secret stands in an archive that is applied: it is kept for long, and read by many.

In: an archive, a tenant. Out: nothing. Refuses (BundleError) one whose answers hold a secret where
they could refer to a stored one, naming the option and never the value.
"""

from typing import Final

from app.bundle.answers_file import ANSWERS_NAMES
from app.bundle.archive import BundleArchive, open_archive
from app.bundle.preparing import prepare_answers
from app.bundle.problems import Problem, bundle_error

PLAIN_SECRET: Final = "bundle.plain_secret"  # noqa: S105 - a code, no secret


def refuse_plain_secrets(archive: BundleArchive, tenant: str) -> None:
    """Return if there is none. Preparing the bundle (`app.deployments.handover`) parts them."""
    plain = prepare_answers(open_archive(archive.content), {}, tenant).secrets
    if plain:
        raise bundle_error([_problem(name) for name in sorted(plain)])


def _problem(name: str) -> Problem:
    message = f"{name} must be a reference to a stored secret"
    return Problem("error", PLAIN_SECRET, message, ANSWERS_NAMES[0])
