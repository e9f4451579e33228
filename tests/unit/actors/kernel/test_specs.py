"""What a spec refuses."""

from typing import Any

import pytest

from actors.kernel.budget import Backoff, RestartBudget
from actors.kernel.specs import ChildSpec, Quarantine, SupervisorSpec
from tests.support.kernel_tree import Life, Probe


def a_child(name: str = "a", **fields: Any) -> ChildSpec[object]:
    return ChildSpec(name, lambda _: Probe(Life()), **fields)


@pytest.mark.parametrize("name", ["", "/a", "a b", " a", "x" * 256])
def test_a_name_that_breaks_a_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        a_child(name)
    with pytest.raises(ValueError, match="not a name"):
        SupervisorSpec(name)


def test_a_flow_name_with_a_slash_is_a_name() -> None:
    assert a_child("auth/login").name == "auth/login"


@pytest.mark.parametrize(
    "fields", [{"mailbox_capacity": 0}, {"start_timeout_seconds": 0}, {"stop_timeout_seconds": -1}]
)
def test_senseless_numbers_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a: "):
        a_child(**fields)


def test_a_quarantine_without_a_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="some time"):
        Quarantine(0)


def test_two_children_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two children"):
        SupervisorSpec("root", children=(a_child(), a_child()))


def test_children_that_stand_and_fall_together_are_not_set_aside() -> None:
    with pytest.raises(ValueError, match="set aside alone"):
        SupervisorSpec(
            "root", children=(a_child(on_exhausted=Quarantine(1)),), strategy="one_for_all"
        )


def test_a_budget_that_cannot_be_spent_is_refused_for_supervisor_and_child() -> None:
    slow = Backoff(initial_seconds=10, max_seconds=10)
    with pytest.raises(ValueError, match="never spent"):
        SupervisorSpec("root", backoff=slow)
    with pytest.raises(ValueError, match="never spent"):
        SupervisorSpec(
            "root",
            children=(a_child(own_budget=RestartBudget(9, 10)),),
            backoff=slow,
            budget=RestartBudget(1, 30),
        )
