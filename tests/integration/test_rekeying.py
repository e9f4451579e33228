"""Rotation on a real server: everything ends with the current key, whoever writes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors.errors import PermanentError
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.settings.sealing_key import format_key
from app.settings.secrets import SecretsSection
from app.stores.key_source import KeySource
from app.stores.kv import KvBucket, KvEntry
from app.stores.rekeying import Progress, Rekeying, RekeyReport
from app.stores.sealing import EnvelopeLabel, Keyring, Place, SealingKey
from app.stores.secrets import BUNDLE_SCOPE, KvSecrets, bucket_key
from tests.support.bus import connected
from tests.support.seals import sealed_as_before

OLD, NEW, LOST = (SealingKey(bytes(range(start, start + 32))) for start in (0, 100, 200 - 50))
CANARY = "canary-7f3a-9c"


def ignore(_: Progress) -> None:
    """Progress is for people."""


@dataclass
class Vault:
    """A bucket, and stores of processes that know different keys."""

    bus: Bus
    env: str
    folder: Path

    @property
    def bucket(self) -> KvBucket:
        return KvBucket(self.bus, names.secrets_bucket(self.env))

    def store(self, *keys: SealingKey) -> KvSecrets:
        text = ",".join(format_key(key.raw) for key in keys)
        section = SecretsSection(key=SecretStr(text))
        return KvSecrets(self.bucket, self.env, KeySource(section, self.env, self.folder))

    async def rekey(
        self, *keys: SealingKey, is_dry_run: bool = False, bucket: KvBucket | None = None
    ) -> RekeyReport:
        used = bucket or self.bucket
        return await Rekeying(used, self.env, Keyring(keys), is_dry_run=is_dry_run).run(ignore)

    async def labels(self) -> set[EnvelopeLabel | None]:
        entries = [await self.bucket.get(key) for key in await self.bucket.keys()]
        return {EnvelopeLabel.read(entry.value or b"") for entry in entries}

    async def put_old(self, tenant: str, name: str, value: str) -> None:
        """Store a record as the first version did."""
        sealed = sealed_as_before(OLD, Place(self.env, tenant, name), value.encode())
        await self.bucket.put(bucket_key(tenant, name), sealed)


@pytest.fixture
async def vault(nats_server: Endpoint, fresh_env: str, tmp_path: Path) -> AsyncIterator[Vault]:
    async with connected(nats_server) as bus:
        for spec in streams.credential_buckets(fresh_env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        yield Vault(bus, fresh_env, tmp_path)


async def fill(vault: Vault) -> dict[tuple[str, str], str]:
    """Put in records of both forms, of tenants and of the bundle."""
    values = {(f"t{number % 3}", f"K{number}"): f"{CANARY}-{number}" for number in range(20)}
    values[BUNDLE_SCOPE, "events-webhook.secret_key"] = CANARY
    for number, ((tenant, name), value) in enumerate(values.items()):
        if number % 2:
            await vault.put_old(tenant, name, value)
        else:
            await vault.store(OLD).set(tenant, name, value)
    return values


async def read(store: KvSecrets, wanted: Sequence[tuple[str, str]]) -> list[str | None]:
    return [await store.get(tenant, name) for tenant, name in wanted]


async def test_everything_is_sealed_anew_and_the_old_key_is_needed_no_more(vault: Vault) -> None:
    values = await fill(vault)
    report = await vault.rekey(NEW, OLD)
    assert (report.records, report.resealed, report.already_current) == (21, 21, 0)
    assert report.is_complete
    assert report.sealed_with == {NEW.key_id.hex(): 21}
    assert await vault.labels() == {EnvelopeLabel(2, NEW.key_id)}
    assert await read(vault.store(NEW), list(values)) == list(values.values())
    again = await vault.rekey(NEW, OLD)
    assert (again.resealed, again.already_current, again.is_complete) == (0, 21, True)


async def test_dry_run_writes_nothing(vault: Vault) -> None:
    await fill(vault)
    before = await vault.bucket.last_revision()
    report = await vault.rekey(NEW, OLD, is_dry_run=True)
    assert (report.resealed, report.is_complete) == (21, False)
    assert report.sealed_with == {OLD.key_id.hex(): 21}
    assert await vault.bucket.last_revision() == before


async def test_what_cannot_be_opened_is_told_and_left_alone(vault: Vault) -> None:
    await vault.store(OLD).set("acme", "GOOD", CANARY)
    await vault.store(LOST).set("acme", "LOST", CANARY)
    moved = await vault.bucket.get(bucket_key("acme", "GOOD"))
    await vault.bucket.put(bucket_key("other", "GOOD"), moved.value or b"")
    await vault.bucket.put("acme.strange", b"noise")
    report = await vault.rekey(NEW, OLD)
    assert (report.resealed, report.unopened_count, report.is_complete) == (1, 3, False)
    told = {(one.tenant, one.name): one.reason for one in report.unopened}
    assert set(told) == {("acme", "LOST"), ("other", "GOOD"), ("acme", "acme.strange")}
    assert LOST.key_id.hex() in told["acme", "LOST"]
    assert "belongs to another" in told["other", "GOOD"]
    assert CANARY not in str(report)
    assert report.sealed_with[OLD.key_id.hex()] == 1
    assert await vault.store(LOST).get("acme", "LOST") == CANARY


async def test_rotation_that_was_cut_off_goes_on(vault: Vault) -> None:
    values = await fill(vault)

    class CutOff(KvBucket):
        writes = 0

        async def put(
            self,
            key: str,
            value: bytes,
            *,
            revision: int | None = None,
            ttl_seconds: int | None = None,
            tag: str = "",
        ) -> int:
            self.writes += 1
            if self.writes > 7:
                raise ConnectionError("cut off")
            return await super().put(
                key, value, revision=revision, ttl_seconds=ttl_seconds, tag=tag
            )

    with pytest.raises(ConnectionError):
        await vault.rekey(NEW, OLD, bucket=CutOff(vault.bus, names.secrets_bucket(vault.env)))
    assert await read(vault.store(NEW, OLD), list(values)) == list(values.values())
    report = await vault.rekey(NEW, OLD)
    assert (report.resealed, report.already_current, report.is_complete) == (14, 7, True)


async def test_rotation_never_undoes_a_write(vault: Vault) -> None:
    """Somebody writes between its read and its write, and somebody removes."""
    await vault.store(OLD).set("acme", "A", "before")
    await vault.store(OLD).set("acme", "B", "before")

    class Raced(KvBucket):
        async def get_surely(self, key: str) -> KvEntry:
            entry = await super().get_surely(key)
            if entry.value is not None and not done:
                done.append(key)
                await vault.store(OLD).set("acme", "A", "after")
                await vault.store(OLD).remove("acme", "B")
            return entry

    done: list[str] = []
    report = await vault.rekey(NEW, OLD, bucket=Raced(vault.bus, names.secrets_bucket(vault.env)))
    assert report.is_complete
    assert await vault.store(NEW).get("acme", "A") == "after"
    assert await vault.store(NEW).get("acme", "B") is None


async def test_two_processes_read_and_write_while_two_rotations_run(vault: Vault) -> None:
    """One process seals with the new key already, the other still with the old one."""
    values = await fill(vault)
    stores = [vault.store(NEW, OLD), vault.store(OLD, NEW)]
    last: dict[str, str] = {}
    is_over = asyncio.Event()

    async def write(number: int) -> int:
        rounds = 0
        while not is_over.is_set():
            name, value = f"W{number}", f"{CANARY}-{number}-{rounds}"
            await stores[number].set("t0", name, value)
            last[name] = value
            assert await stores[1 - number].get("t0", name) == value
            found = await read(stores[number], list(values))
            assert found == list(values.values())
            rounds += 1
        return rounds

    writers = [asyncio.create_task(write(number)) for number in range(2)]
    await asyncio.sleep(0.1)
    reports = await asyncio.gather(vault.rekey(NEW, OLD), vault.rekey(NEW, OLD))
    is_over.set()
    assert min(await asyncio.gather(*writers)) > 0
    assert all(report.unopened_count == 0 for report in reports)
    # The old process has stopped: what it wrote last is found by one more rotation.
    assert (await vault.rekey(NEW, OLD)).is_complete
    wanted = [*values, *(("t0", name) for name in last)]
    assert await read(vault.store(NEW), wanted) == [*values.values(), *last.values()]


async def test_process_without_the_new_key_fails_by_its_id(vault: Vault) -> None:
    await vault.store(OLD).set("acme", "K", CANARY)
    await vault.rekey(NEW, OLD)
    with pytest.raises(PermanentError) as caught:
        await vault.store(OLD).get("acme", "K")
    assert caught.value.reason == "secret.unreadable"
    assert NEW.key_id.hex() in str(caught.value)
    assert format_key(OLD.raw) not in str(caught.value)
