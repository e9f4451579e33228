"""What differs between two bundles, by names alone."""

from typing import Any

from app.bundle.archive import open_archive
from app.deployments.difference import NAMES_MAX, NOTHING, Names, Side, differences
from tests.support.deployments import a_bundle, a_flow, an_archive


def test_nothing_differs_from_itself() -> None:
    archive = an_archive(answers={"events-webhook": {"sync_timeout_ms": 1}})
    side = Side.of(open_archive(archive.content), "acme", a_bundle(archive, "acme").tenants["acme"])
    assert differences(side, side).is_empty
    assert not differences(NOTHING, side).is_empty
    assert differences(NOTHING, side).options.added == ("events-webhook.sync_timeout_ms",)


def test_changed_script_is_a_changed_flow_and_no_changed_trigger() -> None:
    archives = [an_archive(flows={"take": a_flow("take", script=text)}) for text in ("1", "2")]
    before, after = (
        Side.of(open_archive(each.content), "acme", a_bundle(each, "acme").tenants["acme"])
        for each in archives
    )
    found = differences(before, after)
    assert found.flows == Names(changed=("take",))
    assert found.triggers.is_empty
    assert found.files == Names(changed=("flows/take.ygtc",))


def test_bundle_whose_flows_cannot_be_read_still_has_files() -> None:
    side = Side.of(open_archive(an_archive().content), "acme", None)
    assert differences(NOTHING, side).flows.is_empty
    assert "flows/take.ygtc" in differences(NOTHING, side).files.added


def test_answers_that_are_none_have_no_options() -> None:
    wrong: list[Any] = [[], {"events-webhook": []}]
    for answers in wrong:
        archive = an_archive(answers=answers)
        side = Side.of(open_archive(archive.content), "acme", None)
        assert side.options == {}


def test_many_names_are_cut_and_counted() -> None:
    names = Names(added=tuple(f"{n}" for n in range(NAMES_MAX + 3)))
    shown = names.as_mapping()
    assert len(shown["added"]) == NAMES_MAX
    assert shown["not_shown"] == 3


def test_values_of_options_are_shown_nowhere() -> None:
    side = Side(options={"a.b": "canary"})
    assert "canary" not in repr(side)
    assert "canary" not in str(differences(NOTHING, side).as_mapping())
