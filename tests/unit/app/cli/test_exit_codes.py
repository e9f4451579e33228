"""The table of exit codes knows every error of ours."""

from collections.abc import Iterator

import pytest

from actors.errors import ActorsError
from app.cli import exit_codes
from app.cli.exit_codes import EXIT_CODES, INTERNAL, exit_code_of
from app.errors import AppError
from grammar import GrammarError


def all_classes(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for below in root.__subclasses__():
        yield from all_classes(below)


@pytest.mark.parametrize("root", [AppError, ActorsError, GrammarError])
def test_every_error_of_ours_has_a_code_that_is_no_defect(root: type[BaseException]) -> None:
    for cls in all_classes(root):
        error = cls.__new__(cls)
        assert exit_code_of(error) not in (0, INTERNAL), cls


def test_an_unknown_error_is_a_defect_of_ours() -> None:
    assert exit_code_of(ZeroDivisionError()) == INTERNAL


def test_the_nearest_class_decides() -> None:
    assert exit_code_of(KeyboardInterrupt()) == exit_codes.INTERRUPTED
    for cls, code in EXIT_CODES.items():
        assert exit_code_of(cls.__new__(cls)) == code
