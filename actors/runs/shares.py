"""Fair shares: what each tenant of a worker gets of its event loop.

In: tenants' work, in slices, and how long each took. Out: the next slice's turn: at once for a
tenant that has not used up its quantum, else after the others (`actors.runs.rounds`). Refuses
nothing: whoever waits comes to its turn.

At most one slice that had to wait is let go in one turn of the event loop, so that a tenant with
little to do finds it free however many others have much. A tenant alone takes long slices.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, TypeVar, cast

from actors.ports import Clock
from actors.runs.rounds import Member, Rounds

T = TypeVar("T")

QUANTUM_SECONDS: Final = 0.0003
"""Of one tenant while others have work too; a run of the usual kind takes a fifth of it."""

QUANTUM_ALONE_SECONDS: Final = 0.002
ALONE_AFTER_SECONDS: Final = 1.0
"""A tenant is alone again after nobody else had work for so long."""

PAUSES_MIN: Final = 4
"""Quanta of time in which a tenant used only one: it has work now and then, and need not yield."""

DOUBTED_SECONDS: Final = 0.001
"""Stretches longer than that are compared with the processor's clock."""

WEIGHT_MIN: Final = 0.1
WEIGHT_MAX: Final = 100.0


class FairShares:
    """The event loop of one worker, shared by its tenants."""

    def __init__(self, clock: Clock, cpu: Callable[[], float] = time.thread_time) -> None:
        """``cpu`` counts the processor seconds of the event loop's thread."""
        self._clock = clock
        self._cpu = cpu
        self._cpu_at = cpu()
        self._rounds = Rounds()
        self._shares: dict[str, FairShare] = {}
        self._last: FairShare | None = None
        self._mixed_at = float("-inf")
        self._is_pacing = False
        self._is_yielding = False

    def of(self, tenant: str) -> "FairShare":
        """Give the share of a tenant, the same one every time."""
        share = self._shares.get(tenant)
        if share is None:
            share = self._shares[tenant] = FairShare(self, self._clock)
        return share

    def forget(self, tenant: str) -> None:
        """Forget a tenant; who still holds a share of it may go on."""
        self._shares.pop(tenant, None)

    def may_go_on(self, share: "FairShare") -> bool:
        """Tell whether a share may go on at once, taking note of who has work."""
        now = self._clock.monotonic()
        if share is not self._last:
            if self._last is not None:
                self._mixed_at = now
            self._last = share
        if share.has_slice:
            return True
        before, quantum = share.member.round, self._quantum(now)
        if not self._rounds.is_contended and now - share.opened_at >= PAUSES_MIN * quantum:
            self._rounds.pass_round()  # nobody waits, and it has left the loop to others for long
        if not self._rounds.catch_up(share.member, quantum) or share.member.round == before:
            return False
        share.open_slice(quantum, now)
        return True

    @property
    def is_free(self) -> bool:
        """Whether nobody waits for a turn, or has just let others go before it."""
        return not self._is_yielding and not self._rounds.is_contended

    async def yield_alone(self, share: "FairShare") -> bool:
        """Let one turn of the loop pass, then begin the next slice unless others wait by then.

        What `join` and pacing come to where there is nobody else, in half as many turns of the
        loop: each of them asks the system for events.
        """
        self._is_yielding = True
        try:
            await asyncio.sleep(0)
        finally:
            self._is_yielding = False
        if self._rounds.is_contended:
            return False
        now = self._clock.monotonic()
        self._cpu_at = self._cpu()
        quantum = self._quantum(now)
        while share.member.left <= 0.0:
            self._rounds.pass_round()
            self._rounds.catch_up(share.member, quantum)
        share.open_slice(quantum, now)
        return True

    def is_mixed(self) -> bool:
        """Tell whether several tenants have work."""
        return self._clock.monotonic() - self._mixed_at <= ALONE_AFTER_SECONDS

    def join(self, share: "FairShare") -> None:
        """Have a share wait for its turn."""
        self._rounds.join(share.member)
        self._pace_soon()

    def verified(self, seconds: float) -> float:
        """Give what a stretch that took so long can have used of the processor.

        Where the machine ran something else meanwhile, the tenant is not to blame. The processor's
        clock costs ten times what the other does, so it is read only now and then.
        """
        before, self._cpu_at = self._cpu_at, self._cpu()
        return min(seconds, self._cpu_at - before)

    # ── One turn of the event loop ───────────────────────────────────────────────────────────

    def _pace_soon(self) -> None:
        if not self._is_pacing:
            self._is_pacing = True
            asyncio.get_running_loop().call_soon(self._pace)

    def _pace(self) -> None:
        """Let go the one whose turn it is."""
        self._is_pacing = False
        self._cpu_at = self._cpu()
        now = self._clock.monotonic()
        quantum = self._quantum(now)
        while (member := self._rounds.next(quantum)) is not None:
            share = cast("_ShareMember", member).share
            if share.let_one_go(quantum, now):
                break
            # It left nobody waiting in its last turn. Until now it kept its place, so that one of
            # more weight, which has several slices in a round, goes on where it was.
            self._rounds.leave(member)
        if self._rounds.is_contended:
            self._pace_soon()

    def _quantum(self, now: float) -> float:
        is_mixed = now - self._mixed_at <= ALONE_AFTER_SECONDS
        return QUANTUM_SECONDS if is_mixed else QUANTUM_ALONE_SECONDS


class FairShare:
    """One tenant's share: all that works for the tenant spends of it."""

    __slots__ = ("_clock", "_shares", "_slice", "_waiters", "member", "opened_at")

    def __init__(self, shares: FairShares, clock: Clock) -> None:
        self._shares = shares
        self._clock = clock
        self._slice = 0.0
        """What is left of the slice in hand, a part of what is left of the round."""
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.opened_at = float("-inf")
        """When the slice began, in seconds on the monotonic clock."""
        self.member: Member = _ShareMember(self)

    @property
    def weight(self) -> float:
        """Its share against that of other tenants; 1 is usual."""
        return self.member.weight

    @weight.setter
    def weight(self, value: float) -> None:
        self.member.weight = min(max(value, WEIGHT_MIN), WEIGHT_MAX)

    @property
    def has_slice(self) -> bool:
        """Whether its slice is not over; else `wait_turn` before going on."""
        return self._slice > 0.0

    def spend(self, seconds: float) -> None:
        """Count what was spent on the event loop."""
        if seconds > DOUBTED_SECONDS:
            seconds = self._shares.verified(seconds)
        self._slice -= seconds
        self.member.left -= seconds

    def portion(self, whole: int, part: int) -> int:
        """Give how much to do in one go: all of it alone, a part beside other tenants."""
        return part if self._shares.is_mixed() else whole

    async def wait_turn(self) -> None:
        """Wait until the tenant may go on: not at all while it has something left."""
        if not self._waiters:
            if self._shares.may_go_on(self):
                return
            if self._shares.is_free and await self._shares.yield_alone(self):
                return
        turn = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        self._shares.join(self)
        await turn

    async def charge(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do work on the tenant's account: its stretches between waits are measured.

        Where the slice is over the work goes on when it is the tenant's turn.
        """
        return cast("T", await _Charged(self, self._clock, begin()))

    def open_slice(self, quantum: float, now: float) -> None:
        """Begin a slice (for `FairShares`)."""
        self.opened_at = now
        self._slice = min(quantum, self.member.left)

    def let_one_go(self, quantum: float, now: float) -> bool:
        """Let go the one who has waited longest (for `FairShares`); False: nobody waits."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():  # else it was cancelled
                self.open_slice(quantum, now)
                turn.set_result(None)
                return True
        return False


class _ShareMember(Member):
    """A member that knows whose it is."""

    __slots__ = ("share",)

    def __init__(self, share: FairShare) -> None:
        super().__init__()
        self.share = share


class _Charged:
    """Drives a coroutine as its task would, with a look at the clock around each stretch."""

    __slots__ = ("_clock", "_share", "_work")

    def __init__(self, share: FairShare, clock: Clock, work: Coroutine[Any, Any, Any]) -> None:
        self._share = share
        self._clock = clock
        self._work = work

    def __await__(self) -> Generator[Any, None, Any]:
        failure: BaseException | None = None
        while True:
            try:
                if not self._share.has_slice:
                    yield from self._share.wait_turn().__await__()
            except BaseException as error:  # noqa: BLE001 - cancelled: that is the work's to hear
                failure = error
            try:
                yielded = self._go_on(failure)
            except StopIteration as over:
                return over.value
            failure = None
            try:
                yield yielded
            except BaseException as error:  # noqa: BLE001 - the same
                failure = error

    def _go_on(self, failure: BaseException | None) -> Any:
        began = self._clock.monotonic()
        try:
            return self._work.send(None) if failure is None else self._work.throw(failure)
        finally:
            self._share.spend(self._clock.monotonic() - began)
