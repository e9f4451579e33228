"""Dead letters in memory: one per tenant and letter id."""

from actors.errors import UnavailableError
from actors.ports import DeadLetter


class MemoryDeadLetters:
    """Keeps letters; ``is_available`` False makes every parking fail."""

    def __init__(self) -> None:
        self.is_available = True
        self._parked: dict[tuple[str, str], DeadLetter] = {}

    @property
    def parked(self) -> list[DeadLetter]:
        """Every letter, in the order parked."""
        return list(self._parked.values())

    async def park(self, letter: DeadLetter) -> None:
        """Store it; the first one of an id stays."""
        if not self.is_available:
            raise UnavailableError("the bus is away")
        self._parked.setdefault((letter.tenant, letter.letter_id), letter)
