"""The Jetson of the test fleet."""

from __future__ import annotations

from typing import Any

import pytest
from devices import connect
from jetson import HOST


@pytest.fixture(scope="module")
def host() -> Any:
    return connect(HOST)
