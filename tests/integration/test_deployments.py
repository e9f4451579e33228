"""The desk of deployments on a real server: what it puts in force, and what it refuses whole."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.bundle.archive import BundleArchive, open_archive, pack_bundle
from app.bundle.files import MemoryFiles
from app.bundle.problems import Problem
from app.bus.server_folder import Endpoint
from app.control.activations import Activation
from app.control.control import TenantSubscriptions
from app.control.names import bundles_bucket, object_stream
from app.control.secret_desk import SecretDesk
from app.deployments.document import DeploymentDocument
from app.deployments.handover import Receiver, prepare_handover
from app.deployments.store import GRACE_MS, key_of
from app.errors import BundleError, ConflictError, NotFoundError, SettingsError, StoreError
from app.fleet.fleet import Acknowledgement
from app.stores.archives import ArchiveObjects
from app.stores.secrets import BUNDLE_SCOPE
from tests.support.deployments import (
    ANN,
    BEN,
    DeploymentRig,
    a_bundle,
    a_flow,
    an_archive,
    deployment_rig,
)

pytestmark = pytest.mark.server

SECRET = "events-webhook.secret_key"
ANSWERS = {"events-webhook": {"secret_header": "x-sig", "secret_key": {"$secret": SECRET}}}
CANARY = "canary-5b1e-22"
BROKEN = a_flow("broken", script="let = 1")


@pytest.fixture
async def rig(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path
) -> AsyncIterator[DeploymentRig]:
    async with deployment_rig(nats_server, fresh_env, tmp_path / "one") as rig:
        await rig.add("acme")
        yield rig


def problems_of(error: BundleError) -> list[Problem]:
    return [problem for problem in error.problems if isinstance(problem, Problem)]


async def stored_objects(rig: DeploymentRig) -> int:
    stream = object_stream(bundles_bucket(rig.env))
    return int((await rig.bus.client.jetstream().stream_info(stream)).state.last_seq)


async def publish(rig: DeploymentRig, tenant: str, event_type: str) -> None:
    await rig.bus.client.jetstream().publish(
        f"greentic.events.{rig.env}.{tenant}.{event_type}", b"{}"
    )


# ── Putting in force ─────────────────────────────────────────────────────────────────────────


async def test_a_bundle_is_put_in_force_with_its_entry_before_it(rig: DeploymentRig) -> None:
    archive = an_archive("1.2")
    change = await rig.desk.apply(ANN, "acme", archive)
    assert (change.outcome, change.before) == ("changed", None)
    document, revision = await rig.desk.show("acme")
    assert (document, revision) == (change.document, change.revision)
    current = document.current
    assert (current.number, current.bundle, current.flows) == (1, archive.digest, 1)
    assert (current.name, current.version) == ("shop", "1.2")
    assert (current.owner, current.kind, current.actor) == ("apply", "apply", ANN.actor)
    assert document.activated == {"take#1": Activation("order.created", 0)}
    assert (await rig.store.read_archive(archive.digest)).content == archive.content
    (entry,) = await rig.entries()
    assert (entry.action, entry.tenant, entry.error) == ("deployment.apply", "acme", None)
    assert entry.before is None
    assert entry.after["number"] == 1
    assert entry.after["bundle"] == archive.digest


async def test_what_is_in_force_already_is_left_unless_again(rig: DeploymentRig) -> None:
    first = await rig.desk.apply(ANN, "acme", an_archive())
    same = await rig.desk.apply(BEN, "acme", an_archive())
    assert (same.outcome, same.revision) == ("unchanged", first.revision)
    assert same.document == first.document
    again = await rig.desk.apply(BEN, "acme", an_archive(), again=True)
    assert again.document is not None
    assert again.document.current.number == 2
    assert again.document.digests == {an_archive().digest}
    assert len(await rig.entries()) == 2


async def test_triggers_that_stay_keep_their_activation_and_new_ones_start_now(
    rig: DeploymentRig,
) -> None:
    await rig.control.ensure([TenantSubscriptions("acme", {"take#1": "order.created"})])
    await publish(rig, "acme", "order.created")
    await rig.desk.apply(ANN, "acme", an_archive())
    for _ in range(3):
        await publish(rig, "acme", "order.created")
    flows = {"take": a_flow("take"), "bill": a_flow("bill", "order.paid")}
    change = await rig.desk.apply(ANN, "acme", an_archive("2", flows))
    assert change.document is not None
    assert change.document.activated == {
        "take#1": Activation("order.created", 1),
        "bill#1": Activation("order.paid", 4),
    }
    moved = await rig.desk.apply(ANN, "acme", an_archive("3", {"take": a_flow("take", "other")}))
    assert moved.document is not None
    assert moved.document.activated == {"take#1": Activation("other", 4)}


async def test_wrong_bundle_is_refused_with_every_problem_and_nothing_is_stored(
    rig: DeploymentRig,
) -> None:
    await rig.desk.apply(ANN, "acme", an_archive())
    before = await rig.store.read("acme"), await stored_objects(rig), await rig.entries()
    flows = {"good": a_flow("good"), "broken": BROKEN, "torn": "name: ["}
    with pytest.raises(BundleError) as refused:
        await rig.desk.apply(ANN, "acme", an_archive("2", flows))
    files = {problem.file for problem in refused.value.problems if isinstance(problem, Problem)}
    assert {"flows/broken.ygtc", "flows/torn.ygtc"} <= files
    assert (await rig.store.read("acme"), await stored_objects(rig), await rig.entries()) == before


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(BundleArchive(b"no zip", "0" * 64), id="no-archive"),
        pytest.param(replace(an_archive(), digest="0" * 64), id="another-digest"),
        pytest.param(
            pack_bundle(MemoryFiles({"flows/a.ygtc": b"name: a"})), id="without-a-manifest"
        ),
        pytest.param(an_archive(answers={"events-nothing": {}}), id="unknown-provider"),
        pytest.param(
            an_archive(answers={"events-webhook": {"sync_timeout_ms": -1}}), id="wrong-option"
        ),
        pytest.param(
            an_archive(answers={"events-webhook": {"public_base_url": "$URL"}}), id="variable"
        ),
        pytest.param(an_archive(manifest="tenants: {other: {}}\n"), id="another-tenants"),
    ],
)
async def test_what_no_worker_could_read_is_refused(
    rig: DeploymentRig, archive: BundleArchive
) -> None:
    before = await stored_objects(rig)
    with pytest.raises(BundleError):
        await rig.desk.apply(ANN, "acme", archive)
    assert await stored_objects(rig) == before
    assert await rig.store.read("acme") == (None, 0)
    assert await rig.entries() == []


async def test_options_no_provider_can_be_built_of_are_refused(rig: DeploymentRig) -> None:
    def refuse(_: object) -> None:
        raise SettingsError(["events-x: cannot be"])

    parts = replace(rig.desk._parts, check=refuse)
    desk = type(rig.desk)(parts)
    with pytest.raises(BundleError, match="cannot be"):
        await desk.apply(ANN, "acme", an_archive())
    assert await rig.store.read("acme") == (None, 0)


async def test_only_an_active_tenant_gets_a_deployment(rig: DeploymentRig) -> None:
    with pytest.raises(NotFoundError, match="tenant add nobody"):
        await rig.desk.apply(ANN, "nobody", an_archive())
    await rig.tenants.suspend(ANN, "acme")
    with pytest.raises(ConflictError, match="tenant resume acme"):
        await rig.desk.apply(ANN, "acme", an_archive())
    await rig.tenants.resume(ANN, "acme")
    await rig.tenants.remove(ANN, "acme")
    with pytest.raises(ConflictError, match="was deleted"):
        await rig.desk.apply(ANN, "acme", an_archive())
    change = await rig.desk.start(ANN, "acme", an_archive(), a_bundle(an_archive(), "acme"))
    assert (change.outcome, change.skipped) == ("skipped", "deleted")
    assert await rig.store.read("acme") == (None, 0)


async def test_tenant_deleted_in_between_keeps_no_deployment(
    rig: DeploymentRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = rig.desk._parts.store
    write = store.write

    async def write_late(tenant: str, document: DeploymentDocument, revision: int) -> int:
        await rig.tenants.remove(ANN, tenant)
        return await write(tenant, document, revision)

    monkeypatch.setattr(store, "write", write_late)
    with pytest.raises(ConflictError, match="was deleted"):
        await rig.desk.apply(ANN, "acme", an_archive())
    assert (await rig.store.read("acme"))[0] is None
    assert [entry.error for entry in await rig.entries()] == [None, "store.conflict"]


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────


async def test_secrets_are_the_tenants_own(rig: DeploymentRig) -> None:
    await rig.add("other")
    await rig.secrets.set(BUNDLE_SCOPE, SECRET, CANARY)
    await rig.secrets.set("other", SECRET, CANARY)
    archive = an_archive(answers=ANSWERS)
    with pytest.raises(BundleError) as refused:
        await rig.desk.apply(ANN, "acme", archive)
    (problem,) = refused.value.problems
    assert isinstance(problem, Problem)
    assert problem.hint == f"greentic-events secret set acme {SECRET} --env {rig.env}"
    await rig.secrets.set("acme", SECRET, CANARY)
    change = await rig.desk.apply(ANN, "acme", archive)
    assert change.is_changed
    assert CANARY not in str([entry.as_mapping() for entry in await rig.entries()])
    assert CANARY.encode() not in archive.content


async def test_archive_that_holds_a_secret_is_refused_and_not_stored(rig: DeploymentRig) -> None:
    before = await stored_objects(rig)
    options = {**ANSWERS["events-webhook"], "secret_key": CANARY}
    with pytest.raises(BundleError) as refused:
        await rig.desk.apply(ANN, "acme", an_archive(answers={"events-webhook": options}))
    assert [problem.code for problem in problems_of(refused.value)] == ["bundle.plain_secret"]
    assert CANARY not in str([str(refused.value), refused.value.problems])
    assert await stored_objects(rig) == before


async def test_handover_parts_the_secrets_and_stores_them_once(rig: DeploymentRig) -> None:
    receiver = Receiver(rig.desk, SecretDesk(rig.secrets, rig.audit.log))
    options = {**ANSWERS["events-webhook"], "secret_key": "$KEY"}
    files = open_archive(an_archive(answers={"events-webhook": options}).content)
    handover = prepare_handover(files, {"KEY": CANARY}, "acme")
    assert CANARY.encode() not in handover.archive.content
    assert CANARY not in repr(handover)
    first = await receiver.receive(ANN, handover)
    assert (first.stored, first.change.outcome) == ((SECRET,), "changed")
    again = await receiver.receive(ANN, handover)
    assert (again.stored, again.change.outcome) == ((), "unchanged")
    other = await receiver.receive(ANN, prepare_handover(files, {"KEY": "new"}, "acme"))
    assert (other.stored, other.change.outcome) == ((SECRET,), "changed")
    assert other.change.document is not None
    assert other.change.document.current.bundle == handover.archive.digest


async def test_handover_that_is_refused_stores_no_secret(rig: DeploymentRig) -> None:
    receiver = Receiver(rig.desk, SecretDesk(rig.secrets, rig.audit.log))
    options = {**ANSWERS["events-webhook"], "secret_key": CANARY}
    flows = {"broken": BROKEN}
    files = open_archive(an_archive("1", flows, {"events-webhook": options}).content)
    with pytest.raises(BundleError):
        await receiver.receive(ANN, prepare_handover(files, {}, "acme"))
    assert await rig.secrets.list("acme") == ()
    sound = prepare_handover(open_archive(an_archive(answers=ANSWERS).content), {}, "acme")
    with pytest.raises(ConflictError):
        await receiver.receive(ANN, replace(sound, secrets={SECRET: CANARY}), revision=77)
    assert await rig.secrets.list("acme") == ()


async def test_check_takes_secrets_that_are_about_to_be_stored(rig: DeploymentRig) -> None:
    archive = an_archive(answers=ANSWERS)
    bundle = await rig.desk.check("acme", archive, {SECRET: CANARY})
    assert bundle.webhook is not None
    assert bundle.webhook.secret_key is not None
    assert bundle.webhook.secret_key.get_secret_value() == CANARY
    assert await rig.store.read("acme") == (None, 0)
    assert await rig.secrets.list("acme") == ()


# ── Several at once ──────────────────────────────────────────────────────────────────────────


async def test_of_two_at_once_one_is_told_who_was_faster(rig: DeploymentRig) -> None:
    results = await asyncio.gather(
        rig.desk.apply(ANN, "acme", an_archive("1")),
        rig.desk.apply(BEN, "acme", an_archive("2")),
        return_exceptions=True,
    )
    lost = [result for result in results if isinstance(result, BaseException)]
    won = [result for result in results if not isinstance(result, BaseException)]
    assert len(won) == len(lost) == 1
    assert won[0].document is not None
    winner = won[0].document.current.actor
    assert isinstance(lost[0], ConflictError)
    assert str(lost[0]).startswith(f"{winner} was faster: deployment 1")
    document, _ = await rig.desk.show("acme")
    assert document == won[0].document
    failed = [entry for entry in await rig.entries() if entry.error is not None]
    assert [entry.error for entry in failed] == ["store.conflict"]


async def test_many_at_once_leave_one_unbroken_history(rig: DeploymentRig) -> None:
    async def apply(number: int) -> bool:
        try:
            return (await rig.desk.apply(ANN, "acme", an_archive(str(number)))).is_changed
        except ConflictError:
            return False

    made = 0
    for start in range(0, 15, 5):
        made += sum(await asyncio.gather(*(apply(number) for number in range(start, start + 5))))
    document, _ = await rig.desk.show("acme")
    numbers = [document.current.number, *(each.number for each in document.history)]
    assert numbers == list(range(made, 0, -1))
    assert made >= 3


async def test_expected_revision_is_held_against_the_document(rig: DeploymentRig) -> None:
    first = await rig.desk.apply(ANN, "acme", an_archive("1"))
    second = await rig.desk.apply(BEN, "acme", an_archive("2"), revision=first.revision)
    with pytest.raises(ConflictError, match="cli:ben@desk was faster: deployment 2"):
        await rig.desk.apply(ANN, "acme", an_archive("3"), revision=first.revision)
    with pytest.raises(ConflictError):
        await rig.desk.remove(ANN, "acme", revision=first.revision)
    with pytest.raises(ConflictError):
        await rig.desk.rollback(ANN, "acme", revision=first.revision)
    assert (await rig.desk.show("acme"))[1] == second.revision


async def test_write_that_was_taken_unheard_is_no_conflict(rig: DeploymentRig) -> None:
    change = await rig.desk.apply(ANN, "acme", an_archive())
    assert change.document is not None
    assert await rig.store.write("acme", change.document, 0) == change.revision


# ── Going back, taking away, taking over ─────────────────────────────────────────────────────


async def test_rollback_goes_to_what_was_before_and_back(rig: DeploymentRig) -> None:
    for version in ("1", "2", "3"):
        await rig.desk.apply(ANN, "acme", an_archive(version))
    back = await rig.desk.rollback(BEN, "acme")
    assert back.document is not None
    current = back.document.current
    assert (current.number, current.version, current.kind) == (4, "2", "rollback")
    forth = await rig.desk.rollback(BEN, "acme")
    assert forth.document is not None
    assert forth.document.current.version == "3"
    first = await rig.desk.rollback(BEN, "acme", 1)
    assert first.document is not None
    assert (first.document.current.version, first.document.current.number) == ("1", 6)
    assert (await rig.entries())[-1].after["to"] == 1
    with pytest.raises(NotFoundError, match=r"no deployment 99; there are: 6, 5, 4, 3, 2, 1"):
        await rig.desk.rollback(BEN, "acme", 99)


async def test_rollback_needs_something_to_go_back_to(rig: DeploymentRig) -> None:
    with pytest.raises(NotFoundError, match="no deployment to go back to"):
        await rig.desk.rollback(ANN, "acme")
    await rig.desk.apply(ANN, "acme", an_archive())
    with pytest.raises(NotFoundError, match="no former deployment"):
        await rig.desk.rollback(ANN, "acme")


async def test_rollback_to_a_folders_bundle_reads_it_as_a_start_does(rig: DeploymentRig) -> None:
    await rig.secrets.set(BUNDLE_SCOPE, SECRET, CANARY)
    options = {"public_base_url": "$ORDERS_URL", **ANSWERS["events-webhook"]}
    flows = {"take": a_flow("take"), "broken": BROKEN}
    folder = an_archive("1", flows, {"events-webhook": options})
    record = (await rig.tenants.find("acme")).record
    bundle = await rig.desk._parts.reader.read(folder, record, "folder")
    started = await rig.desk.start(ANN, "acme", folder, bundle)
    newer = await rig.desk.start(ANN, "acme", an_archive("2"), a_bundle(an_archive("2"), "acme"))
    assert started.document is not None
    assert newer.document is not None
    assert started.document.current.flows == 1
    back = await rig.desk.rollback(BEN, "acme")
    assert back.document is not None
    assert (back.document.current.owner, back.document.current.flows) == ("folder", 1)


async def test_remove_takes_the_flows_away_and_keeps_the_history(rig: DeploymentRig) -> None:
    with pytest.raises(NotFoundError):
        await rig.desk.remove(ANN, "acme")
    await rig.desk.apply(ANN, "acme", an_archive())
    gone = await rig.desk.remove(BEN, "acme")
    assert gone.document is not None
    current = gone.document.current
    assert (current.number, current.bundle, current.kind, current.flows) == (2, None, "remove", 0)
    assert gone.document.activated == {}
    assert gone.document.digests == {an_archive().digest}
    with pytest.raises(NotFoundError, match="nothing deployed"):
        await rig.desk.remove(ANN, "acme")
    back = await rig.desk.rollback(ANN, "acme")
    assert back.document is not None
    assert back.document.current.bundle == an_archive().digest


async def test_promote_uses_the_other_envs_tenants_and_secrets(
    rig: DeploymentRig, nats_server: Endpoint, tmp_path: Path
) -> None:
    await rig.secrets.set("acme", SECRET, CANARY)
    archive = an_archive(answers=ANSWERS)
    with pytest.raises(NotFoundError):
        await rig.desk.show("acme")
    await rig.desk.apply(ANN, "acme", archive)
    with pytest.raises(ConflictError, match="to itself"):
        await rig.desk.promote(ANN, "acme", rig.desk)
    async with deployment_rig(nats_server, f"{rig.env}p", tmp_path / "two") as other:
        with pytest.raises(NotFoundError, match="no tenant 'acme'"):
            await rig.desk.promote(ANN, "acme", other.desk)
        await other.add("acme")
        with pytest.raises(BundleError) as refused:
            await rig.desk.promote(ANN, "acme", other.desk)
        assert SECRET in str(refused.value)
        assert await other.store.read("acme") == (None, 0)
        await other.secrets.set("acme", SECRET, "another")
        change = await rig.desk.promote(ANN, "acme", other.desk)
        assert change.document is not None
        current = change.document.current
        assert (current.kind, current.bundle, current.number) == ("promote", archive.digest, 1)
        assert (await other.store.read_archive(archive.digest)).content == archive.content
        (entry,) = await other.entries()
        assert (entry.action, entry.after["from_env"]) == ("deployment.promote", rig.env)


# ── A folder's own ───────────────────────────────────────────────────────────────────────────


async def test_start_leaves_what_an_apply_owns(rig: DeploymentRig) -> None:
    folder, bundle = an_archive("1"), a_bundle(an_archive("1"), "acme")
    begun = await rig.desk.start(ANN, "acme", folder, bundle)
    assert begun.document is not None
    assert (begun.document.current.owner, begun.document.current.kind) == ("folder", "start")
    assert (await rig.desk.start(ANN, "acme", folder, bundle)).outcome == "unchanged"
    # The same content, but from now on with the tenant's own secrets: that is a change.
    taken = await rig.desk.apply(BEN, "acme", folder)
    assert taken.outcome == "changed"
    left = await rig.desk.start(ANN, "acme", an_archive("2"), a_bundle(an_archive("2"), "acme"))
    assert (left.outcome, left.skipped, left.document) == ("skipped", "apply", taken.document)


async def test_cautious_start_does_not_bring_back_what_was_superseded(rig: DeploymentRig) -> None:
    old, new = an_archive("1"), an_archive("2")
    await rig.desk.start(ANN, "acme", old, a_bundle(old, "acme"))
    await rig.desk.start(ANN, "acme", new, a_bundle(new, "acme"))
    cautious = await rig.desk.start(ANN, "acme", old, a_bundle(old, "acme"), is_cautious=True)
    assert (cautious.outcome, cautious.skipped) == ("skipped", "superseded")
    current = await rig.desk.start(ANN, "acme", new, a_bundle(new, "acme"), is_cautious=True)
    assert current.outcome == "unchanged"
    bold = await rig.desk.start(ANN, "acme", old, a_bundle(old, "acme"))
    assert bold.outcome == "changed"


async def test_cautious_start_leaves_a_removed_deployment_removed(rig: DeploymentRig) -> None:
    old = an_archive("1")
    await rig.desk.start(ANN, "acme", old, a_bundle(old, "acme"))
    await rig.desk.remove(ANN, "acme")
    cautious = await rig.desk.start(ANN, "acme", old, a_bundle(old, "acme"), is_cautious=True)
    assert (cautious.outcome, cautious.skipped) == ("skipped", "removed")
    assert (await rig.desk.start(ANN, "acme", old, a_bundle(old, "acme"))).is_changed


# ── Workers ──────────────────────────────────────────────────────────────────────────────────


async def test_report_speaks_of_the_tenants_that_were_asked_about(rig: DeploymentRig) -> None:
    change = await rig.desk.apply(ANN, "acme", an_archive())
    failed = {"w2": {"acme": "no consumer", "other": "x"}, "w3": {"other": "x"}}
    rig.fleet.answer = Acknowledgement(("w1", "w2", "w3"), failed, ("w4",), 1.5)
    report = await rig.desk.wait(change, 7.0)
    assert rig.fleet.asked == [(change.revision, 7.0)]
    assert report.acknowledged == ("w1", "w3")
    assert report.failed == {"w2": {"acme": "no consumer"}}
    assert (report.missing, report.seconds, report.is_well) == (("w4",), 1.5, False)
    rig.fleet.answer = Acknowledgement(("w1",), {"w1": {"other": "x"}}, (), 0.1)
    assert (await rig.desk.wait(change)).is_well


async def test_several_changes_are_waited_for_at_once(rig: DeploymentRig) -> None:
    await rig.add("beta")
    changes = [await rig.desk.apply(ANN, tenant, an_archive()) for tenant in ("acme", "beta")]
    await rig.desk.wait_all(changes)
    assert [revision for revision, _ in rig.fleet.asked] == [changes[1].revision]


# ── Differences ──────────────────────────────────────────────────────────────────────────────


async def test_difference_names_what_changes_and_no_value(rig: DeploymentRig) -> None:
    await rig.secrets.set("acme", SECRET, CANARY)
    flows = {"stay": a_flow("stay"), "go": a_flow("go"), "turn": a_flow("turn")}
    await rig.desk.apply(ANN, "acme", an_archive("1", flows, ANSWERS))
    after = {"stay": a_flow("stay"), "come": a_flow("come"), "turn": a_flow("turn", "x.y")}
    options = {**ANSWERS["events-webhook"], "secret_header": "x-new", "sync_timeout_ms": 4321}
    found = await rig.desk.diff("acme", an_archive("2", after, {"events-webhook": options}))
    shown = found.as_mapping()
    assert shown["flows"] == {"added": ["come"], "removed": ["go"], "changed": ["turn"]}
    assert shown["triggers"]["changed"] == ["turn#1"]
    assert shown["files"]["changed"] == ["answers.json", "flows/turn.ygtc", "greentic.demo.yaml"]
    names = ["events-webhook.secret_header"]
    assert shown["options"] == {
        "added": ["events-webhook.sync_timeout_ms"], "removed": [], "changed": names,
    }  # fmt: skip
    assert CANARY not in str(shown)
    assert "4321" not in str(shown)
    assert (await rig.desk.diff("acme", an_archive("1", flows, ANSWERS))).is_empty


async def test_difference_to_nothing_is_everything(rig: DeploymentRig) -> None:
    found = await rig.desk.diff("acme", an_archive())
    assert found.flows.added == ("take",)
    with pytest.raises(BundleError):
        await rig.desk.diff("acme", an_archive(flows={"broken": BROKEN}))


# ── Archives ─────────────────────────────────────────────────────────────────────────────────


async def test_same_content_is_stored_once(rig: DeploymentRig) -> None:
    await rig.add("beta")
    await rig.desk.apply(ANN, "acme", an_archive())
    before = await stored_objects(rig)
    await rig.desk.apply(ANN, "beta", an_archive())
    assert await stored_objects(rig) == before


async def test_what_two_store_at_once_is_stored_once_and_whole(rig: DeploymentRig) -> None:
    archive = an_archive(flows={f"f{n}": a_flow(f"f{n}", script=f"{n}") for n in range(300)})
    await asyncio.gather(*(rig.store.put_archive(archive) for _ in range(4)))
    assert (await rig.store.read_archive(archive.digest)).content == archive.content
    stream = object_stream(bundles_bucket(rig.env))
    info = await rig.bus.client.jetstream().stream_info(stream)
    chunks = -(-len(archive.content) // (128 * 1024))
    assert info.state.messages == chunks + 1


async def test_damaged_archive_is_noticed(rig: DeploymentRig) -> None:
    wrong = BundleArchive(an_archive("2").content, an_archive("1").digest)
    await rig.store.put_archive(wrong)
    with pytest.raises(StoreError, match="damaged"):
        await rig.store.read_archive(wrong.digest)
    with pytest.raises(NotFoundError):
        await rig.store.read_archive("a" * 64)


async def test_what_no_history_names_is_collected_after_an_hour(rig: DeploymentRig) -> None:
    kept, lost = an_archive("1"), an_archive("2")
    await rig.desk.apply(ANN, "acme", kept)
    await rig.desk.remove(ANN, "acme")
    await rig.store.put_archive(lost)
    assert await rig.store.unreferenced() == []
    await rig.clock.advance(GRACE_MS / 1000 + 1)
    assert await rig.store.unreferenced() == [lost.digest]
    assert await rig.store.collect() == 1
    assert (await rig.store.read_archive(kept.digest)).digest == kept.digest
    with pytest.raises(NotFoundError):
        await rig.store.read_archive(lost.digest)
    await rig.store.put_archive(lost)  # it can come back
    assert (await rig.store.read_archive(lost.digest)).content == lost.content


async def test_storing_again_saves_from_a_collection_that_has_begun(rig: DeploymentRig) -> None:
    archive = an_archive()
    archives = ArchiveObjects(rig.bus, bundles_bucket(rig.env))
    await rig.store.put_archive(archive)
    seen = await archives.find(archive.digest)
    assert seen is not None
    await rig.clock.advance(GRACE_MS / 1000 + 1)
    await rig.store.put_archive(archive)
    assert await archives.delete(seen) is False
    assert await rig.store.unreferenced() == []
    assert (await rig.store.read_archive(archive.digest)).content == archive.content


async def test_what_a_crash_left_of_an_archive_is_swept_up(rig: DeploymentRig) -> None:
    await rig.store.put_archive(an_archive())
    stream = rig.bus.client.jetstream()
    bucket = bundles_bucket(rig.env)
    for place in (f"{rig.clock.now_ms()}-abc", "another-clients"):
        await stream.publish(f"$O.{bucket}.C.{place}", b"half")
    before = (await stream.stream_info(object_stream(bucket))).state.messages
    await rig.store.collect()
    assert (await stream.stream_info(object_stream(bucket))).state.messages == before
    await rig.clock.advance(GRACE_MS / 1000 + 1)
    await rig.store.put_archive(an_archive())
    await rig.store.collect()
    assert (await stream.stream_info(object_stream(bucket))).state.messages == before - 1
    assert (await rig.store.read_archive(an_archive().digest)).digest == an_archive().digest


async def test_nothing_is_collected_while_a_document_cannot_be_read(rig: DeploymentRig) -> None:
    await rig.store.put_archive(an_archive())
    await rig.clock.advance(GRACE_MS / 1000 + 1)
    await rig.store._bucket.put(key_of("acme"), b"{}")
    assert (await rig.desk.list()).unreadable == ("acme",)
    with pytest.raises(StoreError, match="acme"):
        await rig.store.collect()


async def test_list_has_every_tenant_and_none_of_the_other_keys(rig: DeploymentRig) -> None:
    await rig.add("beta")
    for tenant in ("acme", "beta"):
        await rig.desk.apply(ANN, tenant, an_archive())
    found = await rig.desk.list()
    assert sorted(found.documents) == ["acme", "beta"]
    assert found.unreadable == ()
