"""Who has guessed too often, and how long nothing more is heard from there.

In: wrong keys and right ones, with the address they came from and the prefix they claimed. Out: the
seconds that are left to wait. Refuses nothing itself: `app.identity.authentication` does.

Counted by address (an IPv6 network of /64 is one) and by prefix. The fifth wrong key from an
address, or the twentieth of a prefix, locks for a second, each further one for twice as long. While
an address is locked nothing from it is judged, so that guessing costs time even when it is right;
while a prefix is, no key of it. Exempt is who has used this very key rightly from this very address
before and sent no wrong one since: whoever knows a prefix, which is no secret, must not be able to
shut its owner out, nor one wrong client its neighbours behind the same address. A right key
forgives nothing else: with one of one's own, guessing at others' would be free.

Guessing 256 random bits is hopeless anyway; this keeps it from being cheap, quiet and loud at once.
The memory is bounded: past `REMEMBERED_MAX` of a kind the longest silent one is forgotten. It is
the process's own, and ends with it. Called from several threads: large bodies are verified there.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final

from app.identity.observations import GuessingLocked, Whom

ADDRESS_FAILURES_MAX: Final = 5
PREFIX_FAILURES_MAX: Final = 20
FIRST_SECONDS: Final = 1.0
ADDRESS_SECONDS_MAX: Final = 900.0
PREFIX_SECONDS_MAX: Final = 60.0
FORGOTTEN_SECONDS: Final = 3600.0
"""So long after its last wrong key an address or a prefix is as if it had never sent one."""
REMEMBERED_MAX: Final = 10_000
"""Addresses, and prefixes, that are remembered at once."""
FRIENDS_MAX: Final = 8
"""Addresses that are known to have used a key rightly, the last ones, for each key."""

_DOUBLINGS_MAX: Final = 20
_NETWORK_BITS: Final = 64


@dataclass(slots=True)
class _Record:
    failures: int = 0
    failed_at: float = 0.0
    locked_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Rule:
    by: Whom
    failures_max: int
    seconds_max: float

    def seconds(self, failures: int) -> float:
        doublings = min(failures - self.failures_max, _DOUBLINGS_MAX)
        return 0.0 if doublings < 0 else min(FIRST_SECONDS * 2.0**doublings, self.seconds_max)


_BY_ADDRESS: Final = _Rule("address", ADDRESS_FAILURES_MAX, ADDRESS_SECONDS_MAX)
_BY_PREFIX: Final = _Rule("prefix", PREFIX_FAILURES_MAX, PREFIX_SECONDS_MAX)


@dataclass(slots=True)
class _Ledger:
    """The failures of one kind, the longest silent first."""

    rule: _Rule
    records: OrderedDict[str, _Record] = field(default_factory=OrderedDict)

    def left(self, name: str, now: float) -> float:
        record = self.records.get(name)
        return 0.0 if record is None else max(0.0, record.locked_until - now)

    def fail(self, name: str, now: float) -> GuessingLocked | None:
        record = self.records.pop(name, None)
        if record is None or now - record.failed_at > FORGOTTEN_SECONDS:
            record = _Record()
        record.failures += 1
        record.failed_at = now
        self.records[name] = record
        if len(self.records) > REMEMBERED_MAX:
            self.records.popitem(last=False)
        seconds = self.rule.seconds(record.failures)
        record.locked_until = now + seconds
        if seconds == 0:
            return None
        return GuessingLocked(self.rule.by, name, record.failures, seconds)


class LockOut:
    """The failures of one process. ``monotonic`` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._addresses = _Ledger(_BY_ADDRESS)
        self._prefixes = _Ledger(_BY_PREFIX)
        self._friends: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def seconds_left(self, address: str, prefix: str | None) -> float:
        """Give how long nothing is judged that comes from there with this prefix; 0: it is now."""
        now = self._monotonic()
        with self._lock:
            left = self._addresses.left(address, now)
            if prefix is None:
                return left
            if address in self._friends.get(prefix, ()):
                return 0.0
            return max(left, self._prefixes.left(prefix, now))

    def failed(self, address: str, prefix: str | None) -> list[GuessingLocked]:
        """Count a wrong key, and give what is locked by it."""
        now = self._monotonic()
        with self._lock:
            locked = [self._addresses.fail(address, now)]
            if prefix is not None:
                locked.append(self._prefixes.fail(prefix, now))
                self._friends.get(prefix, OrderedDict()).pop(address, None)
        return [each for each in locked if each is not None]

    def succeeded(self, address: str, prefix: str) -> None:
        """Remember that this key was right from there."""
        with self._lock:
            friends = self._friends.pop(prefix, None) or OrderedDict()
            friends.pop(address, None)
            friends[address] = None
            if len(friends) > FRIENDS_MAX:
                friends.popitem(last=False)
            self._friends[prefix] = friends
            if len(self._friends) > REMEMBERED_MAX:
                self._friends.popitem(last=False)


def counted_address(address: str) -> str:
    """Give what failures are counted by: an IPv4 address, an IPv6 network, or one ``?`` for all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "?"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        network = int(parsed) >> _NETWORK_BITS << _NETWORK_BITS
        return f"{IPv6Address(network)}/{_NETWORK_BITS}"
    return str(parsed)
