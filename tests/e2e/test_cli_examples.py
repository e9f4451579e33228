"""The examples as their reader runs them: `start` in a process of its own, `event` beside it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = [sys.executable, "-c", "from app.cli.main import main; main()"]
READY_SECONDS = 60


@dataclass(frozen=True)
class Running:
    """A started bundle."""

    url: str
    data: str

    def cli(self, *arguments: str) -> Any:
        """Run a command beside it and give its JSON."""
        done = subprocess.run(
            [*PROGRAM, *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return json.loads(done.stdout)

    def send(self, event_type: str, payload: Any) -> Any:
        """Post an event and give the answer's body."""
        body = json.dumps(payload)
        return self.cli("event", "send", "demo", event_type, body, "--url", self.url)


def started(folder: Path, errors: Path) -> Iterator[Running]:
    with errors.open("w") as log:
        process = subprocess.Popen(
            [*PROGRAM, "start", str(folder), "--port", "0", "--admin", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, errors.read_text()
        ready = json.loads(line)
        yield Running(ready["url"], ready["data"])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(READY_SECONDS)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()
    assert process.returncode == 0, errors.read_text()


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("orders")
    shutil.copytree(EXAMPLES / "orders", folder / "b")
    yield from started(folder / "b", folder / "log")


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tour")
    shutil.copytree(EXAMPLES / "tour", folder / "b")
    yield from started(folder / "b", folder / "log")


def test_an_order_is_priced_and_answered(orders: Running) -> None:
    order = {"id": "A-1", "items": [{"price": 9.99, "quantity": 3}], "total": 29.97}
    answer = orders.send("order.created", order)
    assert answer["status"] == 200
    assert answer["body"] == {
        "order": "A-1",
        "accepted": True,
        "sum": 29.97,
        "message": "Order A-1: 3 pieces for 29.97 EUR.",
    }


def test_a_wrong_total_is_said_and_an_empty_order_refused(orders: Running) -> None:
    wrong = orders.send(
        "order.created", {"id": 7, "items": [{"price": 2, "quantity": 2}], "total": 5}
    )
    assert wrong["body"]["accepted"] is False
    assert wrong["body"]["message"].endswith("The total 5 does not match.")
    assert orders.send("order.created", {"id": 8, "items": [], "total": 0})["status"] == 422
    assert orders.send("order.created", {"id": 9})["status"] == 422


def test_an_event_no_flow_wants_is_accepted(orders: Running) -> None:
    answer = orders.send("order.shipped", {})
    assert (answer["status"], answer["event_id"]) == (202, answer["body"]["event_id"])


def test_an_event_over_nats_has_a_result(orders: Running) -> None:
    order = json.dumps({"id": 3, "items": [{"price": 1, "quantity": 1}], "total": 1})
    with subprocess.Popen(
        [
            *PROGRAM,
            "event",
            "tail",
            "demo",
            "--results",
            "--count",
            "2",
            "--timeout",
            "50",
            "--data",
            orders.data,
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tail:
        assert tail.stderr is not None
        assert tail.stdout is not None
        assert "listening" in tail.stderr.readline()
        sent = orders.cli("event", "send", "demo", "order.created", order, "--data", orders.data)
        heard = [json.loads(line) for line in tail.stdout]
        assert tail.wait() == 0
    assert [item["kind"] for item in heard] == ["event", "result"]
    assert heard[0]["event"]["id"] == sent["event_id"]
    assert heard[1]["result"]["event_id"] == sent["event_id"]
    assert heard[1]["result"]["status"] == "completed"


def test_state_and_a_sub_flow_answer_a_visit(tour: Running) -> None:
    assert tour.send("visit.counted", {"user": "ada"})["body"] == "Hello ada"
    assert tour.send("visit.counted", {"user": "ada"})["body"] == "Hello again ada, visit 2"


def test_a_bare_name_is_of_the_payload(tour: Running) -> None:
    answer = tour.send("user.registered", {"id": 7, "user_phone": "+15550100"})
    assert (answer["status"], answer["body"]) == (201, "Text to +15550100: welcome!")


def test_a_template_from_a_file_lists_what_it_is_given(tour: Running) -> None:
    answer = tour.send("summary.wanted", {"commits": [{"message": "one"}, {"message": "two"}]})
    assert answer["body"] == "0. one\n1. two\n"
    assert tour.send("summary.wanted", {})["body"] == "nothing to tell\n"


def test_a_service_that_cannot_be_reached_is_a_failed_run(tour: Running) -> None:
    answer = tour.send("fetch.wanted", {"url": "http://127.0.0.1:1/", "question": "?"})
    assert (answer["accepted"], answer["status"]) == (False, 502)
