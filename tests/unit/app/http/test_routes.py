"""The route table. In: specs and paths. Out: whose route a path is."""

import pytest

from app.errors import SettingsError
from app.http.routes import PATHS_REMEMBERED_MAX, RouteTable
from app.providers.catalog import provider_specs
from app.providers.provider import InboundRoute, ProviderSpec
from app.providers.timer.options import TimerOptions


def spec(name: str, *paths: str) -> ProviderSpec:
    routes = tuple(InboundRoute(path.rpartition("/")[2], path) for path in paths)
    return ProviderSpec(name, "", TimerOptions, lambda *_: pytest.fail("not built"), routes)


TABLE = RouteTable(
    [
        spec("hook", "/events/hook/{tenant}/{event_type}", "/events/batch/{tenant}"),
        spec("mail", "/events/mail/x/{tenant}/in", "/events/mail/{tenant}/out"),
    ]
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/events/hook/demo/order.created", ("hook", "demo", "order.created")),
        ("/events/batch/demo", ("hook", "demo", "")),
        ("/events/mail/x/demo/in", ("mail", "demo", "")),
        ("/events/mail/x/out", ("mail", "x", "")),
        ("/events/hook/demo/%6frder", ("hook", "demo", "%6frder")),
        ("/events/hook/demo", None),
        ("/events/hook/demo/", None),
        ("/events/hook//order", None),
        ("/events/hook/demo/order/more", None),
        ("/events/batch/", None),
        ("/events/batch/demo/", None),
        ("/events/mail/x/demo/out", None),
        ("/events/mail/x/demo/IN", None),
        ("/events/", None),
        ("/events/hook", None),
    ],
)
def test_a_path_belongs_to_one_route(path: str, found: tuple[str, str, str] | None) -> None:
    match = TABLE.find(path)
    assert (match and (match.provider, match.tenant, match.event_type)) == found


def test_a_route_belongs_to_one_provider() -> None:
    with pytest.raises(SettingsError, match="a and b both claim the route /events/x"):
        RouteTable([spec("a", "/events/x/{tenant}"), spec("b", "/events/x/{tenant}")])


@pytest.mark.parametrize("path", ["/events/x", "/hooks/{tenant}", "/events/{tenant}x"])
def test_a_route_names_its_tenant_below_events(path: str) -> None:
    with pytest.raises(SettingsError, match="must be /events/"):
        RouteTable([spec("a", path)])


def test_remembered_paths_are_the_same_and_bounded() -> None:
    table = RouteTable([spec("hook", "/events/hook/{tenant}/{event_type}")])
    first = table.find("/events/hook/demo/a")
    assert table.find("/events/hook/demo/a") is first
    for number in range(PATHS_REMEMBERED_MAX):
        table.find(f"/events/hook/demo/a{number}")
    again = table.find("/events/hook/demo/a")
    assert (again, again is first) == (first, False)
    long = "/events/hook/demo/" + "a" * 300
    assert table.find(long) is not table.find(long)


def test_the_catalogues_routes_fit_together() -> None:
    assert "/events/webhook/{tenant}/{event_type}" in RouteTable(provider_specs()).forms()
