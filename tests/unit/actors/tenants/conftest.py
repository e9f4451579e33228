"""A yard of twins per test."""

import pytest

from tests.support.builders import Yard


@pytest.fixture
def yard() -> Yard:
    return Yard()
