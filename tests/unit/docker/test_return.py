"""A restart of dockerd that fails: the file from before comes back, and Docker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import flags
from ansible_collections.edge_slm.fleet.plugins.modules import jetson_ollama_daemon as module

BAD = '{"log-driver": "nonsense"}'


class FailedError(Exception):
    """What fail_json raises."""


class Module:
    """As much of AnsibleModule as is needed."""

    def fail_json(self, msg: str) -> None:
        """Fail."""
        raise FailedError(msg)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ('{"debug": true}\n', "Docker runs again with it"),
        ("", "Docker runs again with it"),
        (None, "Docker runs again with it"),
        (BAD, "Docker does not run with it either: no such driver"),
    ],
)
def test_the_file_from_before_comes_back(
    before: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(BAD)
    monkeypatch.setattr(module.decide, "DAEMON_JSON", str(file))
    monkeypatch.setattr(flags, "show", lambda _properties, _units: [])
    module_: Any = Module()
    daemon = module.Daemon(module_)

    def restart(reload_first: bool) -> None:
        if file.exists() and file.read_text() == BAD:
            raise module.StartError("no such driver")

    monkeypatch.setattr(daemon, "restart", restart)
    with pytest.raises(FailedError, match=message) as error:
        daemon.restart_or_return(before, reload_first=True)
    assert "The reason: no such driver" in str(error.value)
    assert (file.read_text() if file.exists() else None) == before
