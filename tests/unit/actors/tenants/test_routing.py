"""Which flows take an event: patterns, `default` triggers, activation sequences."""

from actors.tenants import routing
from actors.tenants.deployment import Deployment, trigger_key
from actors.tenants.routing import RoutingTable
from tests.support.builders import a_flow, a_timer, a_trigger, by_name

ORDERS = a_flow(name="orders", triggers=(a_trigger("order.*"),), can_answer=True)
AUDIT = a_flow(
    name="audit",
    triggers=(a_trigger("order.created"), a_trigger("order.>", number=2, target="second")),
)
REST = a_flow(name="rest", triggers=(a_trigger(None),))


def table(*flows: object, **activated: int) -> RoutingTable:
    keys = {key.replace("__", "#"): since for key, since in activated.items()}
    return RoutingTable(Deployment("demo", "r1", by_name(*flows), keys))  # type: ignore[arg-type]


def names(found: RoutingTable, event_type: str) -> list[str]:
    return [match.flow.name for match in found.match(event_type)]


def test_an_event_goes_to_every_flow_with_a_matching_trigger() -> None:
    found = table(ORDERS, AUDIT)
    assert names(found, "order.created") == ["orders", "audit"]
    assert names(found, "order.item.added") == ["audit"]
    assert names(found, "user.created") == []


def test_a_flows_candidates_come_in_file_order() -> None:
    (match,) = table(AUDIT).match("order.created")
    assert [trigger.number for trigger in match.triggers] == [1, 2]


def test_default_triggers_take_what_no_other_names() -> None:
    found = table(ORDERS, REST)
    assert names(found, "user.created") == ["rest"]
    assert names(found, "order.created") == ["orders"]


def test_a_false_filter_still_names_a_type() -> None:
    flow = a_flow(name="picky", triggers=(a_trigger("user.created", judge=lambda _: False),))
    assert names(table(flow, REST), "user.created") == ["picky"]


def test_a_timer_takes_its_own_ticks_only() -> None:
    found = table(a_flow(name="daily", triggers=(a_timer("0 0 * * *", "daily"),)))
    assert names(found, "timer.daily.1") == ["daily"]
    assert names(found, "timer.daily.2") == []


def test_a_trigger_counts_from_its_activation_on() -> None:
    (match,) = table(AUDIT, audit__1=10, audit__2=20).match("order.created")
    numbers = [[t.number for t in match.triggers_for(sequence)] for sequence in (10, 11, 20, 21)]
    assert numbers == [[], [1], [1], [1, 2]]


def test_flows_that_may_answer_are_counted() -> None:
    found = table(ORDERS, AUDIT)
    assert found.answering_flows("order.created") == 1
    assert found.answering_flows("order.item.added") == 0


def test_the_memory_of_types_is_bounded() -> None:
    found = table(ORDERS)
    for number in range(routing.TYPES_REMEMBERED_MAX + 1):
        found.match(f"order.n{number}")
    assert len(found._remembered) == 1
    assert found.match("order.n1") is found.match("order.n1")


def test_a_deployment_names_the_pattern_of_each_trigger() -> None:
    deployment = Deployment("demo", "r1", by_name(AUDIT, REST))
    assert deployment.patterns() == {
        "audit#1": "order.created", "audit#2": "order.>", "rest#1": ">"
    }  # fmt: skip
    assert trigger_key(REST, REST.triggers[0]) == "rest#1"
