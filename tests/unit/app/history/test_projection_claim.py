"""One process beside a file, any number beside PostgreSQL."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ConflictError, StoreError
from app.history.projection.claim import claim_database, file_of, shown_url

TAKE = """
import sys, time
from app.history.projection.claim import claim_database
claim = claim_database(sys.argv[1])
print("taken", flush=True)
time.sleep(60)
"""


def test_a_second_claim_of_a_file_is_refused_until_the_first_is_given_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/history.db"
    first = claim_database(url)
    with pytest.raises(ConflictError, match="another process keeps the history in"):
        claim_database(url)
    first.give_back()
    claim_database(url).give_back()


def test_a_process_that_is_killed_leaves_no_claim(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    with subprocess.Popen([sys.executable, "-c", TAKE, url], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        with pytest.raises(ConflictError):
            claim_database(url)
        process.kill()
    claim_database(url).give_back()


def test_any_number_share_a_server() -> None:
    url = "postgresql://u:p@host/db"
    first, second = claim_database(url), claim_database(url)
    first.give_back()
    second.give_back()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot use"):
        claim_database(f"sqlite:///{tmp_path}/file/history.db")


def test_urls_are_shown_without_passwords() -> None:
    assert shown_url("postgresql://u:hunter2@h:5432/d?sslmode=x") == "postgresql://u@h:5432/d"
    assert shown_url("postgresql://h/d") == "postgresql://h/d"
    assert shown_url("sqlite:////var/a.db") == "sqlite:////var/a.db"
    assert file_of("sqlite:////var/a.db") == Path("/var/a.db")
    assert file_of("postgresql://h/d") is None
