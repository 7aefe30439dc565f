"""A hub that serves what a test has put into the directory `root`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.tools.local_hub import Hub


@pytest.fixture
def hub(root: Path) -> Iterator[Hub]:
    with Hub(root) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
