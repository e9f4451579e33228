"""Hot tenants: who becomes one, and how long it stays one."""

from app.fleet.hot import CALM_LOOKS, HOT_LOOKS, IN_FLIGHT_MIN, WAITING_MIN, HotTenants, Load
from app.fleet.report import HOT_MAX

BUSY = Load(WAITING_MIN, IN_FLIGHT_MIN)
CALM = Load(0, 3)
BETWEEN = Load(WAITING_MIN // 2, IN_FLIGHT_MIN)
HELD_UP = Load(100 * WAITING_MIN, 1)


def looks(*loads: Load) -> list[bool]:
    """Show one tenant's loads one after another; tell at each whether it is hot."""
    shown: dict[str, Load] = {}
    hot = HotTenants(lambda: shown)
    found = []
    for load in loads:
        shown = {"acme": load, "other": CALM}
        found.append(hot.look() == ("acme",))
    return found


def test_it_takes_several_looks_in_a_row() -> None:
    assert looks(*[BUSY] * HOT_LOOKS) == [False] * (HOT_LOOKS - 1) + [True]
    assert not any(looks(*([BUSY] * (HOT_LOOKS - 1) + [BETWEEN]) * 5))


def test_who_only_waits_for_its_turn_is_not_hot() -> None:
    assert not any(looks(*[HELD_UP] * 100))


def test_it_stays_hot_until_it_has_been_calm_for_long() -> None:
    heated = [BUSY] * HOT_LOOKS
    calm = [CALM] * (CALM_LOOKS - 1)
    assert looks(*heated, *calm)[-1]
    assert not looks(*heated, *calm, CALM)[-1]
    assert looks(*heated, *calm, BETWEEN, *calm)[-1]
    assert looks(*heated, *[BETWEEN] * 200)[-1]


def test_cooled_down_tenant_needs_all_looks_again() -> None:
    cycle = [BUSY] * HOT_LOOKS + [CALM] * CALM_LOOKS
    assert looks(*cycle, *[BUSY] * HOT_LOOKS)[-2:] == [False, True]


def test_tenant_that_was_left_is_forgotten() -> None:
    shown = {"acme": BUSY}
    hot = HotTenants(lambda: shown)
    found = [hot.look() for _ in range(HOT_LOOKS)]
    assert found[-1] == ("acme",)
    shown = {}
    assert hot.look() == ()
    shown = {"acme": BUSY}
    assert hot.look() == ()


def test_only_so_many_are_named_those_with_most_waiting_first() -> None:
    shown = {f"t{n}": Load(WAITING_MIN + n, IN_FLIGHT_MIN) for n in range(HOT_MAX + 5)}
    hot = HotTenants(lambda: shown)
    for _ in range(HOT_LOOKS):
        found = hot.look()
    assert len(found) == HOT_MAX
    assert found[0] == f"t{HOT_MAX + 4}"
