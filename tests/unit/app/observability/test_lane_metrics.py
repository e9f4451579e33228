"""What lanes report of themselves, as metrics."""

from actors.observations import LaneBatched, LaneHeld, LanePutOff, LaneRefused, LaneTaken
from app.observability.metrics import Metrics
from app.observability.observer import ReportingObserver


def test_lanes_are_counted_and_what_they_hold_is_shown() -> None:
    metrics = Metrics()
    observer = ReportingObserver(metrics)
    observer.observe(LaneRefused("acme", "orders", "rate_limit"))
    observer.observe(LanePutOff("acme", "orders", 5_000))
    observer.observe(LaneBatched("acme", "orders", 12))
    observer.observe(LaneHeld("acme", "orders", 5, 2, 1, 900))
    observer.observe(LaneHeld("acme", "orders", 3, 2, 1, 994))
    observer.observe(LaneTaken("acme", "orders", 4))
    value, flow = metrics.registry.get_sample_value, {"tenant": "acme", "flow": "orders"}
    assert value("greentic_lane_refused_total", {**flow, "rule": "rate_limit"}) == 1
    assert value("greentic_lane_put_off_total", flow) == 1
    assert value("greentic_lane_batched_events_total", flow) == 12
    lane = {"tenant": "acme", "lane": "orders"}
    shown = [
        value("greentic_lane_runs", {**lane, "state": s}) for s in ("waiting", "working", "asleep")
    ]
    assert shown == [3, 2, 1]
    assert value("greentic_lane_room", lane) == 994
    assert value("greentic_occurrences_total", {"event": "lane.taken"}) == 1
