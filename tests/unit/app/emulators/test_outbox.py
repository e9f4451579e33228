"""The outbox's bounds, the private file, and how texts are counted."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from app.emulators.access import (
    EmulatorAccess,
    new_token,
    read_access,
    remove_access,
    write_access,
)
from app.emulators.accounts import Accounts, accounts_of, dev_options
from app.emulators.outbox import EMAIL, SMS, Outbox, OutboxMessage
from app.emulators.segments import count_segments
from app.errors import SettingsError
from app.providers.catalog import find_provider
from tests.support.twilio import ACCOUNT, OURS, TOKEN, options

URL = "http://127.0.0.1:4711"


def a_message(number: int, *, kind: str = SMS, size: int = 0, **more: Any) -> OutboxMessage:
    return OutboxMessage(
        str(number), kind, "twilio", number, OURS, ("+49301234567",), size_bytes=size, **more
    )


def ids(outbox: Outbox, **how: Any) -> list[str]:
    return [message.id for message in outbox.newest(**how)]


# ── Outbox ───────────────────────────────────────────────────────────────────────────────────


def test_the_oldest_message_goes_and_is_counted() -> None:
    outbox = Outbox(messages_max=3)
    for number in range(5):
        outbox.add(a_message(number))
    assert ids(outbox) == ["4", "3", "2"]
    assert (len(outbox), outbox.dropped) == (3, 2)
    assert outbox.find("1") is None


def test_bytes_are_bounded_too() -> None:
    outbox = Outbox(bytes_max=10_000)
    for number in range(6):
        outbox.add(a_message(number, size=3000))
    assert ids(outbox) == ["5", "4"]
    outbox.add(a_message(6, size=50_000))
    assert ids(outbox) == ["6"], "the newest is always kept"
    outbox.add(a_message(7, size=1))
    assert ids(outbox) == ["7"]


def test_kinds_and_counts() -> None:
    outbox = Outbox()
    for number in range(4):
        outbox.add(a_message(number, kind=EMAIL if number % 2 else SMS))
    assert ids(outbox, kind=EMAIL) == ["3", "1"]
    assert ids(outbox, kind=SMS, count_max=1) == ["2"]
    assert ids(outbox, count_max=0) == []


def test_notes_are_bounded_and_of_messages_that_are_here() -> None:
    outbox = Outbox()
    outbox.add(a_message(1))
    for number in range(50):
        outbox.note("1", f"note {number}")
    outbox.note("2", "nobody")
    message = outbox.find("1")
    assert message is not None
    assert len(message.notes) == 20
    assert message.notes[0] == "note 0"


def test_a_summary_is_short() -> None:
    summary = a_message(1, body="a \n b" * 10_000).as_summary()
    assert len(summary["excerpt"]) <= 120
    assert "\n" not in summary["excerpt"]
    assert json.dumps(a_message(1).as_document())


# ── emulators.json ───────────────────────────────────────────────────────────────────────────


def test_the_file_is_private_and_replaced_in_one_step(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    access = EmulatorAccess(URL, new_token(), "smtp://127.0.0.1:25")
    before = os.umask(0)
    try:
        write_access(folder, EmulatorAccess(URL, "older"))
        write_access(folder, access)
    finally:
        os.umask(before)
    assert read_access(folder) == access
    assert stat.S_IMODE((folder / "emulators.json").stat().st_mode) == 0o600
    assert [each.name for each in folder.iterdir()] == ["emulators.json"]
    assert access.token not in repr(access)


def test_only_the_own_file_is_removed(tmp_path: Path) -> None:
    mine, other = EmulatorAccess(URL, "mine"), EmulatorAccess(URL, "other")
    write_access(tmp_path, other)
    remove_access(tmp_path, mine)
    assert read_access(tmp_path) == other
    remove_access(tmp_path, other)
    assert read_access(tmp_path) is None
    remove_access(tmp_path, other)


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    (tmp_path / "emulators.json").symlink_to(target)
    write_access(tmp_path, EmulatorAccess(URL, "t"))
    assert target.read_text() == "untouched"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot write"):
        write_access(tmp_path / "file", EmulatorAccess(URL, "t"))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "1", "[" * 50_000, '{"url": "http://127.0.0.1", "token": ""}',
     '{"url": "http://example.org:1", "token": "t"}', '{"url": 1, "token": "t"}',
     '{"url": "https://127.0.0.1:1", "token": "t"}', '{"url": "http://127.0.0.1:1", "token": 1}',
     '{"url": "http://[", "token": "t"}', '{"url": "http://127.0.0.1:1", "token": "t", "smtp": 1}'],
)  # fmt: skip
def test_a_file_that_is_not_ours_counts_as_absent(tmp_path: Path, text: str) -> None:
    (tmp_path / "emulators.json").write_text(text)
    assert read_access(tmp_path) is None


# ── Accounts ─────────────────────────────────────────────────────────────────────────────────


def test_credentials_are_the_bundles() -> None:
    found = accounts_of({"events-sms-twilio": options()})
    assert found == Accounts(account_sid=ACCOUNT, auth_token=TOKEN, from_number=OURS)
    assert TOKEN not in repr(found)
    assert accounts_of({}) == Accounts()


def test_fresh_options_suit_their_providers() -> None:
    first, second = dev_options(), dev_options()
    checked = {}
    for name, raw in first.items():
        spec = find_provider(name)
        assert spec is not None
        checked[name] = spec.options_model.model_validate(raw)
    found = accounts_of(checked)
    assert found.api_key == first["events-email-sendgrid"]["api_key"]
    assert found.inbound_token == first["events-email-sendgrid"]["inbound_parse"]["token"]
    assert found.inbound_email == "dev@example.org"
    secrets = [each["events-sms-twilio"]["auth_token"] for each in (first, second)]
    assert secrets[0] != secrets[1]


# ── Segments ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1),
     ("€" * 81, 2), ("Größe" * 32, 1), ("ç" * 70, 1), ("ç" * 71, 2), ("ç" * 134, 2),
     ("ç" * 135, 3), ("👍" * 35, 1), ("👍" * 36, 2), ("\ud800", 1)],
)  # fmt: skip
def test_segments(text: str, count: int) -> None:
    assert count_segments(text) == count
