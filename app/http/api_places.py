"""Places for large bodies: how many are held in memory at once, in all and for each tenant.

In: whose body it is. Out: a place until its request is answered. Refuses whoever comes while all
are taken, or those of its tenant (OverloadedError): bundles are megabytes, and connections many.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.errors import OverloadedError

LARGE_BYTES_MIN: Final = 1024 * 1024
"""Operations that take less than this are not counted."""
PLACES: Final = 8
PLACES_OF_A_TENANT: Final = 2
RETRY_AFTER_SECONDS: Final = 2.0


class BodyPlaces:
    """The places of one operation."""

    def __init__(self, body_bytes_max: int) -> None:
        self._is_large = body_bytes_max >= LARGE_BYTES_MIN
        self._taken: Counter[str | None] = Counter()

    @contextmanager
    def take(self, tenant: str | None) -> Iterator[None]:
        """Have a place for a while. OverloadedError."""
        if not self._is_large:
            yield
            return
        if self._taken.total() >= PLACES or self._taken[tenant] >= PLACES_OF_A_TENANT:
            raise OverloadedError(
                "too many large bodies at once", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
