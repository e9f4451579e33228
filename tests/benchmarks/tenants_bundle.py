"""A bundle of many tenants with three flows each: a script, an effect, a timer.

All tenants run the same flows, or (``is_shared`` False) each has flows compiled for it alone: a
bundle has 200 apps at most, so five tenants, each in a time zone of its own, have the same text.
"""

from itertools import cycle
from pathlib import Path

FLOWS = {
    "pricing": """\
name: pricing
version: "1.0.0"
description: "Prices of {owner}."
triggers:
  - type: event
    event_type: order.created
    filter: "payload.total > 0"
    target: price
nodes:
  - id: price
    type: script
    config:
      script: |
        let rate = if payload.total > 100 {{ 0.9 }} else {{ 1.0 }};
        #{{ total: payload.total * rate, owner: "{owner}" }}
    next: done
""",
    "visits": """\
name: visits
version: "1.0.0"
description: "Visits of {owner}."
triggers:
  - type: event
    event_type: visit.counted
    target: keep
nodes:
  - id: keep
    type: state
    config:
      action: set
      key: "visit-{{{{payload.user}}}}"
      value: "{{{{payload.at}}}}"
    next: done
""",
    "nightly": """\
name: nightly
version: "1.0.0"
description: "The nights of {owner}."
triggers:
  - type: timer
    cron: "30 3 * * MON-FRI"
    jitter: 10m
    target: note
nodes:
  - id: note
    type: log
    config:
      message: "a new day begins for {owner}"
    next: done
""",
}

APPS_MAX = 200
ZONES = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York", "Australia/Sydney")


def tenant_names(count: int) -> list[str]:
    return [f"tenant-{number:05}" for number in range(count)]


def write_bundle(root: Path, tenants: list[str], *, is_shared: bool) -> None:
    root.mkdir(parents=True)
    (root / "answers.yaml").write_text("events-timer:\n  enabled: true\n")
    apps = ["shared"] if is_shared else [f"app-{number}" for number in range(APPS_MAX)]
    for app in apps:
        folder = root / "apps" / app / "flows"
        folder.mkdir(parents=True)
        for name, text in FLOWS.items():
            (folder / f"{name}.ygtc").write_text(text.format(owner=app))
    lines = ["name: bench-tenants", 'version: "1.0.0"']
    lines += ["apps:", *(f"  {app}: {{path: apps/{app}}}" for app in apps), "tenants:"]
    kinds = cycle((app, zone) for zone in ZONES for app in apps)
    for tenant, (app, zone) in zip(tenants, kinds, strict=False):
        settings = "" if is_shared else f", settings: {{timezone: {zone}}}"
        lines.append(f"  {tenant}: {{apps: [{app}]{settings}}}")
    (root / "greentic.demo.yaml").write_text("\n".join([*lines, ""]))
