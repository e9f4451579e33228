"""`flow test`. In: flows with tests beside them. Out: which hold, why the others do not, exit code."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.exit_codes import FAILED
from app.cli.main import run

FLOW = """
name: orders
version: "1"
config: {script: {operations: 1000000}}
triggers:
  - {type: event, event_type: order.created, filter: "payload.total != ()", target: ask}
nodes:
  - id: ask
    type: http
    config: {method: POST, url: "https://tax.example/{{payload.id}}", body: {total: "{{payload.total}}"}}
    next: add
    on_error: give_up
  - id: add
    type: script
    config:
      script: |
        let n = state.get("n", 0) + 1;
        state.set("n", n);
        print("number " + n);
        #{ n: n, now: now, tax: http_response.tax, env: env }
    next: done
  - {id: give_up, type: error, config: {message: "{{error.code}}"}}
"""
ANSWERED = '    http: [{url: "https://tax.example/*", answer: {body: {tax: 2}}}]\n'


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "orders.ygtc"
    path.write_text(FLOW)
    return path


def a_test(*lines: str, name: str = "one") -> str:
    event = "    event: {payload: {id: 7, total: 10}}\n"
    return f"  - name: {name}\n{event}" + "".join(lines)


def verdicts(
    flow: Path, capsys: pytest.CaptureFixture[str], *tests: str, arguments: tuple[str, ...] = ()
) -> tuple[int, list[dict[str, Any]]]:
    flow.with_name("orders.tests.yaml").write_text("tests:\n" + "".join(tests))
    code = run(["flow", "test", str(flow), "--json", *arguments])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_test_that_holds(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = a_test(
        ANSWERED,
        "    state: {n: 4}\n    now: 1000\n    env: prod\n",
        "    expect:\n",
        "      path: [ask, add]\n",
        "      output: {n: 5, now: 1000, tax: 2, env: prod}\n",
        "      state: {n: 5}\n",
        "      logs: [{level: info, message: number 5}]\n",
        "      http: [{url: https://tax.example/7, body: {total: 10}}]\n",
    )
    code, (verdict,) = verdicts(flow, capsys, text)
    assert verdict["differences"] == []
    assert (code, verdict["ok"], verdict["line"]) == (0, True, 2)
    assert verdict["run"]["path"] == ["ask", "add"]


def test_a_test_that_fails_says_where(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = a_test(ANSWERED, "    expect: {output_includes: {tax: 3}}\n")
    code, (verdict,) = verdicts(flow, capsys, text)
    assert (code, verdict["ok"]) == (FAILED, False)
    assert verdict["differences"] == [
        {"where": "output.tax", "expected": 3, "got": 2, "note": None}
    ]


def test_each_test_has_a_state_of_its_own(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (ANSWERED, "    expect: {state: {n: 1}}\n")
    code, found = verdicts(flow, capsys, a_test(*lines), a_test(*lines, name="two"))
    assert (code, [item["ok"] for item in found]) == (0, [True, True])


def test_a_call_without_a_double_fails_whatever_the_flow_makes_of_it(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = a_test('    expect: {error: {code: flow_error, message: "http.refused"}}\n')
    code, (verdict,) = verdicts(flow, capsys, text)
    assert code == FAILED
    assert verdict["differences"][0]["note"].endswith("POST https://tax.example/7")


def test_a_double_that_is_not_called_fails(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unused = ANSWERED.replace("[", '[{url: "https://other.example/"}, ')
    code, (verdict,) = verdicts(flow, capsys, a_test(unused, "    expect: {}\n"))
    assert code == FAILED
    assert "was called 0 times" in verdict["differences"][0]["note"]


def test_a_double_may_answer_so_often_and_fail(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doubles = '    http: [{url: "*", error: http.timeout, times: 1}]\n'
    text = a_test(doubles, "    expect: {error: {message: http.timeout}, path: [ask, give_up]}\n")
    assert verdicts(flow, capsys, text)[0] == 0


def test_an_event_that_no_trigger_takes_is_skipped(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "  - {name: one, event: {type: other.thing}, expect: {status: skipped}}\n"
    more = "  - {name: two, expect: {status: skipped}}\n"
    assert verdicts(flow, capsys, text, more)[0] == 0


def test_an_event_that_is_none_fails_its_test(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (verdict,) = verdicts(
        flow, capsys, "  - {name: one, event: {type: Not.Good}, expect: {}}\n"
    )
    assert code == FAILED
    assert "lower-case" in verdict["differences"][0]["note"]


def test_only_tests_of_a_name_are_run(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = (a_test("    expect: {}\n"), "  - {name: two, expect: {status: skipped}}\n")
    code, found = verdicts(flow, capsys, *tests, arguments=("--filter", "wo"))
    assert (code, [item["name"] for item in found]) == (0, ["two"])
    assert run(["flow", "test", str(flow), "--filter", "three"]) == FAILED
    assert "no test has such a name" in capsys.readouterr().err


def test_a_broken_test_file_fails_with_its_place(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (verdict,) = verdicts(flow, capsys, "  - {name: one, expct: {}}\n")
    assert (code, verdict["ok"], verdict["name"]) == (FAILED, False, None)
    assert {item["code"] for item in verdict["problems"]} == {
        "flow_test.unknown_key",
        "flow_test.missing_key",
    }


def test_a_broken_flow_fails_its_tests(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow.write_text(FLOW.replace("next: add", "next: ad"))
    code, (verdict,) = verdicts(flow, capsys, a_test("    expect: {}\n"))
    assert code == FAILED
    assert verdict["problems"][0]["code"].startswith("flow.")


def test_a_tenant_that_does_not_run_the_flow_is_told(
    flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, (verdict,) = verdicts(flow, capsys, a_test("    tenant: acme\n    expect: {}\n"))
    assert [item["code"] for item in verdict["problems"]] == ["flow_test.no_tenant"]


def test_no_tests_at_all_is_an_error(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flow", "test", str(flow)]) == FAILED
    assert run(["flow", "test", str(flow.parent / "absent")]) == FAILED
    assert "there are no tests" in capsys.readouterr().err


def test_people_see_what_fails_and_a_count(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = a_test(ANSWERED, "    expect: {output_includes: {tax: 3, env: dev}}\n")
    flow.with_name("orders.tests.yaml").write_text("tests:\n" + tests)
    assert run(["flow", "test", str(flow.parent)]) == FAILED
    shown = capsys.readouterr().out
    assert "FAILED  orders: one" in shown
    assert "output.tax\n          expected  3\n          got       2\n" in shown
    assert "0 of 1 tests hold" in shown


def test_doctor_reports_test_files_and_start_does_not_read_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.bundle.reading import read_bundle

    (tmp_path / "greentic.yaml").write_text('name: x\nversion: "1"\n')
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "orders.ygtc").write_text(FLOW)
    revision = read_bundle(tmp_path).revision
    (tmp_path / "flows" / "orders.tests.yaml").write_text("tests: 1\n")
    assert run(["flow", "doctor", str(tmp_path), "--json"]) == FAILED
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["code"], problem["line"]) == ("flow_test.bad_value", 1)
    assert problem["file"].endswith("flows/orders.tests.yaml")
    assert read_bundle(tmp_path).revision == revision


MAILING = """
name: mailing
version: "1"
triggers: [{type: event, event_type: user.registered, target: fetch}]
nodes:
  - id: fetch
    type: http
    config:
      method: GET
      url: https://crm.example/me
      headers: {authorization: "Bearer {{secrets.CRM_KEY}}"}
    next: mail
  - id: mail
    type: event
    config:
      provider: events-email-sendgrid
      action: send
      to: "{{payload.email}}"
      subject: Welcome
    on_error: shrug
  - {id: shrug, type: template, config: {template: "{{error.code}}"}}
"""


@pytest.mark.parametrize(
    ("given", "expect", "places"),
    [
        ("", "{output_includes: {status: accepted}}", []),
        (
            'actions: [{provider: events-email-sendgrid, action: send, answer: {id: "m1"}}]',
            (
                '{output: {id: "m1"}, actions: [{provider: events-email-sendgrid, action: send,'
                " arguments: {to: a@b.c, subject: Welcome}}]}"
            ),
            [],
        ),
        (
            "actions: [{provider: events-email-sendgrid, action: send, error: action.off}]",
            "{output: action.off, path: [fetch, mail, shrug]}",
            [],
        ),
        ("actions: [{provider: events-sms-twilio, action: send}]", "{}", ["calls"]),
        ("", "{actions: []}", ["actions"]),
    ],
)
def test_providers_and_secrets_are_the_test_s_own(
    given: str,
    expect: str,
    places: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "mailing.ygtc"
    path.write_text(MAILING)
    (tmp_path / "mailing.tests.yaml").write_text(
        "tests:\n  - name: one\n    event: {payload: {email: a@b.c}}\n"
        "    secrets: {CRM_KEY: k1}\n    http: [{url: https://crm.example/me}]\n"
        f"    {given}\n    expect: {expect}\n"
    )
    run(["flow", "test", str(path), "--json"])
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["problems"] == []
    assert [item["where"] for item in verdict["differences"]] == places
    assert verdict["run"]["http"][0]["headers"]["authorization"] == "Bearer k1"


SLEEPER = """
name: orders
version: "1"
triggers: [{type: event, event_type: order.created, target: note}]
nodes:
  - {id: note, type: log, config: {message: before}, next: nap}
  - {id: nap, type: wait, config: {for: "{{payload.pause}}"}, next: call, on_error: give_up}
  - id: call
    type: http
    config: {url: "https://tax.example/x", retry: {max_retries: 2, initial_ms: 86400000}}
    next: say
    on_error: give_up
  - {id: say, type: template, config: {template: "{{http_response.status}}"}, next: done}
  - {id: give_up, type: template, config: {template: "{{error.code}}"}}
"""


def slept(pause: str, *lines: str) -> str:
    event = f"    event: {{payload: {{pause: {pause}}}}}\n"
    return f"  - name: {pause} {len(lines)}\n{event}" + "".join(lines)


def test_waits_and_retries_take_no_time(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow.write_text(SLEEPER)
    answers = (
        '    http: [{url: "*", error: http.connect, times: 1}, {url: "*", answer: {status: 503}, '
        'times: 1}, {url: "*", answer: {status: 204}}]\n'
    )
    failing = '    http: [{url: "*", error: http.timeout, times: 3}]\n'
    last = '    http: [{url: "*", answer: {status: 503}, times: 3}]\n'
    path = "    expect:\n      path: [note, nap, call, say]\n"
    code, found = verdicts(
        flow,
        capsys,
        slept("30d", answers, path, '      output: "204"\n      logs: [{message: before}]\n'),
        slept("1h", last, path, '      output: "503"\n', ""),
        slept("1s", failing, "    expect: {path: [note, nap, call, give_up]}\n"),
        slept("soon", "    expect: {path: [note, nap, give_up], output: wait.bad_time}\n"),
    )
    assert [item["differences"] for item in found] == [[], [], [], []]
    assert code == 0
