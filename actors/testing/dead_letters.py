"""Dead letters in memory: one per tenant and letter id; and redriving those of an event."""

from actors.errors import UnavailableError
from actors.ports import Continuations, DeadLetter
from actors.runs.redriving import redriven


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

    def forget(self, letter: DeadLetter) -> None:
        """Delete it; one that is not there is no error."""
        self._parked.pop((letter.tenant, letter.letter_id), None)


class MemoryRedriver:
    """`Redriver` over a yard of twins. ``is_available`` of the letters False: it fails too."""

    def __init__(self, letters: MemoryDeadLetters, continuations: Continuations) -> None:
        self._letters = letters
        self._continuations = continuations
        self.asked: list[tuple[str, str]] = []

    async def redrive_event(self, tenant: str, event_id: str) -> int:
        """Redrive the letters of one event and give how many there were."""
        self.asked.append((tenant, event_id))
        if not self._letters.is_available:
            raise UnavailableError("the bus is away")
        redriven_count = 0
        for letter in self._letters.parked:
            continuation = redriven(letter)
            is_meant = letter.event is not None and letter.event.id == event_id
            if letter.tenant == tenant and is_meant and continuation is not None:
                await self._continuations.schedule(tenant, continuation)
                self._letters.forget(letter)
                redriven_count += 1
        return redriven_count
