"""What is read of a running proxy: what its worker has loaded, and since when."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import Listener
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import live as reading
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import Loaded, Settings


@pytest.mark.parametrize(
    ("info", "age", "loaded"),
    [
        ("", 5, Loaded("")),
        ("Uptime_sec: 60\ndescription: abc\n", 100, Loaded("abc")),
        ("Uptime_sec: 60\ndescription: abc\n", 5, Loaded("abc", current=False)),
        # Written and loaded within one second, which an uptime in whole seconds does not distinguish.
        ("Uptime_sec: 60\ndescription: abc\n", 60.0, Loaded("abc")),
        # A clock that was set back.
        ("Uptime_sec: 60\ndescription: abc\n", -1000, Loaded("abc")),
    ],
)
def test_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, info: str, age: float, loaded: Loaded) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text("x")
    written = time.time() - age
    os.utime(config, (written, written))
    monkeypatch.setattr(proxying, "LOADED", (str(config), str(tmp_path / "missing")))
    monkeypatch.setattr(reading, "ask", lambda _socket, _command: info)
    assert reading.read_loaded() == loaded


@pytest.mark.parametrize(
    ("listener", "own", "owner"),
    [
        (Listener("0.0.0.0", 11434, 4000000, 1), None, "a program of the user 4000000"),  # noqa: S104
        # The user was removed while its proxy runs on.
        (Listener("0.0.0.0", 11434, 990, 1), 990, ""),  # noqa: S104
        (Listener("0.0.0.0", 11435, 990, 1), None, ""),  # noqa: S104
        (Listener("::1", 11434, 4000000, 1), None, "a program of the user 4000000"),
    ],
)
def test_who_holds_the_port(monkeypatch: pytest.MonkeyPatch, listener: Listener, own: int | None, owner: str) -> None:
    monkeypatch.setattr(reading, "read_listeners", lambda: [listener])
    monkeypatch.setattr(reading, "user_number", lambda _name: None)
    assert reading.port_owner(Settings(), own) == owner
